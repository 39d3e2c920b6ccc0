"use strict";
const media = document.querySelector("video, audio");
const rows = Array.from(document.querySelectorAll("tbody tr"));
const bars = Array.from(document.querySelectorAll(".bar"));
const barOf = new Map(bars.map((bar) => [Number(bar.dataset.index), bar]));
const track = document.querySelector(".track");
const playhead = document.querySelector(".playhead");
const chips = Array.from(document.querySelectorAll(".filters button"));
let current = null;

function isTimed(row) {
  return row.dataset.start !== undefined;
}

function select(index) {
  if (index === current) return;
  for (const marked of document.querySelectorAll(".now")) {
    marked.classList.remove("now");
    marked.removeAttribute("aria-current");
  }
  current = index;
  if (index === null) return;
  rows[index].classList.add("now");
  rows[index].setAttribute("aria-current", "true");
  rows[index].scrollIntoView({block: "nearest"});
  const bar = barOf.get(index);
  if (bar) {
    bar.classList.add("now");
    showInTimeline(bar.offsetLeft + bar.offsetWidth / 2);
  }
}

function showInTimeline(x) {
  const view = track.parentElement;
  if (x < view.scrollLeft || x > view.scrollLeft + view.clientWidth) view.scrollLeft = x - view.clientWidth / 2;
}

function play(index) {
  select(index);
  if (!media || !isTimed(rows[index])) return;
  media.currentTime = Number(rows[index].dataset.start);
  media.play().catch(() => {}); // a file that cannot be played reports itself below
}

function follow() {
  const now = media.currentTime + 0.05; // browsers land a little before the time they are sent to
  const isSpoken = (row) => isTimed(row) && Number(row.dataset.start) <= now && now < Number(row.dataset.end);
  if (current === null || !isSpoken(rows[current])) {
    const index = rows.findLastIndex(isSpoken);
    select(index < 0 ? null : index);
  }
  const share = (media.currentTime - track.dataset.first) / (track.dataset.last - track.dataset.first);
  playhead.hidden = !("timed" in track.dataset) || share < 0 || share > 1;
  playhead.style.left = 100 * share + "%";
}

function filter() {
  const wanted = new Set(chips.filter((chip) => chip.ariaPressed === "true").map((chip) => chip.dataset.label));
  const isWanted = (row) => wanted.size === 0 || wanted.has(row.dataset.label);
  rows.forEach((row, index) => {
    row.hidden = !isWanted(row);
    barOf.get(index)?.classList.toggle("faded", row.hidden);
  });
  const shown = rows.filter(isWanted).length;
  document.getElementById("shown").textContent = wanted.size ? shown + " of " + rows.length + " utterances" : "";
}

function moveAlongTimeline(event) {
  const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
  const next = bars[bars.indexOf(event.target) + step];
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

document.querySelector("tbody").addEventListener("click", (event) => {
  if (!event.target.closest("details")) play(rows.indexOf(event.target.closest("tr")));
});
track.addEventListener("click", (event) => {
  const bar = event.target.closest(".bar");
  if (bar) play(Number(bar.dataset.index));
});
track.addEventListener("keydown", moveAlongTimeline);
for (const chip of chips) {
  chip.addEventListener("click", () => {
    chip.ariaPressed = String(chip.ariaPressed !== "true");
    filter();
  });
}
if (media) {
  const fail = () => { document.getElementById("unplayable").hidden = false; };
  if (media.error) fail();
  media.addEventListener("error", fail);
  media.addEventListener("timeupdate", follow);
}
