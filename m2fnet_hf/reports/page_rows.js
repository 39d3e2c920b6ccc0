"use strict";
const utterances = document.getElementById("utterances");
const sections = Array.from(utterances.querySelectorAll(".section"));
const rows = Array.from(utterances.querySelectorAll("tbody tr"));
const numberOf = new Map(rows.map((row, index) => [row, index]));
const barOf = new Map(Array.from(utterances.querySelectorAll(".bar"), (bar) => [Number(bar.dataset.index), bar]));
const tabStop = new Map(); // by section, the one row that Tab goes to
let current = null;

function select(index) {
  if (index === current) return;
  for (const marked of utterances.querySelectorAll(".now")) {
    marked.classList.remove("now");
    marked.removeAttribute("aria-current");
  }
  current = index;
  if (index === null) return;
  const row = rows[index];
  row.closest(".section").open = true;
  row.classList.add("now");
  row.setAttribute("aria-current", "true");
  row.scrollIntoView({block: "nearest"});
  const bar = barOf.get(index);
  if (!bar) return;
  bar.classList.add("now");
  showInTimeline(bar);
}

function showInTimeline(bar) {
  const view = bar.closest(".scroll");
  const x = bar.offsetLeft + bar.offsetWidth / 2;
  if (x < view.scrollLeft || x > view.scrollLeft + view.clientWidth) view.scrollLeft = x - view.clientWidth / 2;
}

function stopAt(row) {
  const section = row.closest(".section");
  const before = tabStop.get(section);
  if (before) before.tabIndex = -1;
  tabStop.set(section, row);
  row.tabIndex = 0;
}

function nextShown(elements, place, step) {
  do place += step; while (elements[place]?.hidden);
  return elements[place];
}

function moveAlongRows(event) {
  const row = event.target;
  if (!numberOf.has(row) || event.ctrlKey || event.altKey || event.metaKey) return;
  const step = {ArrowDown: 1, j: 1, ArrowUp: -1, k: -1}[event.key];
  if (step) {
    const next = nextShown(rows, numberOf.get(row), step);
    if (next) {
      next.closest(".section").open = true;
      stopAt(next);
      next.focus();
    }
  } else if (event.key === "Enter") {
    play(numberOf.get(row));
  } else if (event.key === " ") {
    const details = row.querySelector("details");
    details.open = !details.open;
  } else {
    return;
  }
  event.preventDefault();
}

function moveAlongTimeline(event) {
  const bar = event.target.closest(".bar");
  const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
  if (!bar || !step) return;
  const bars = Array.from(bar.parentElement.querySelectorAll(".bar"));
  const next = nextShown(bars, bars.indexOf(bar), step);
  if (!next) return;
  event.preventDefault();
  bar.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

for (const row of rows) {
  row.tabIndex = -1;
  for (const inner of row.querySelectorAll("button, summary")) inner.tabIndex = -1; // keys of the row do the same
}
for (const section of sections) stopAt(section.querySelector("tbody tr"));
utterances.addEventListener("keydown", moveAlongRows);
utterances.addEventListener("keydown", moveAlongTimeline);
utterances.addEventListener("click", (event) => {
  const bar = event.target.closest(".bar");
  if (bar) play(Number(bar.dataset.index));
  const row = event.target.closest("tbody tr");
  if (!row || event.target.closest("details") !== row.closest(".section")) return;
  stopAt(row);
  play(numberOf.get(row));
});
for (const fold of ["unfold", "fold"]) {
  document.getElementById(fold).addEventListener("click", () => {
    for (const section of sections) section.open = fold === "unfold";
  });
}
for (const needing of utterances.querySelectorAll(".folding, .keys")) needing.hidden = false;
