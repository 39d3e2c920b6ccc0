const media = document.querySelector("video, audio");
const starts = rows.map((row) => Number(row.dataset.start)); // NaN where there is no time
const ends = rows.map((row) => Number(row.dataset.end));
const tracks = Array.from(document.querySelectorAll(".track[data-timed]"));

function play(index) {
  select(index);
  if (!media || Number.isNaN(starts[index])) return;
  media.currentTime = starts[index];
  media.play().catch(() => {}); // a file that cannot be played reports itself below
}

function follow() {
  const now = media.currentTime + 0.05; // browsers land a little before the time they are sent to
  const isSpoken = (index) => starts[index] <= now && now < ends[index];
  if (current === null || !isSpoken(current)) {
    let index = rows.length - 1;
    while (index >= 0 && !isSpoken(index)) index -= 1;
    select(index < 0 ? null : index);
  }
  for (const track of tracks) {
    const share = (media.currentTime - track.dataset.first) / (track.dataset.last - track.dataset.first);
    const playhead = track.querySelector(".playhead");
    playhead.hidden = share < 0 || share > 1;
    playhead.style.left = 100 * share + "%";
  }
}

if (media) {
  const fail = () => { document.getElementById("unplayable").hidden = false; };
  if (media.error) fail();
  media.addEventListener("error", fail);
  media.addEventListener("timeupdate", follow);
}
