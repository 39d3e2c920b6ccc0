const search = document.getElementById("search");
const speakerChoice = document.getElementById("speaker");
const chips = Array.from(document.querySelectorAll(".chips button"));
const showAll = document.getElementById("all");
const UNFOLDED = 50; // utterances that are found and shown at once; the others wait in their sections
const texts = rows.map((row) => plain(row.cells[1].textContent + " " + row.cells[2].textContent));
const parts = sections.map((section) => ({
  section,
  rows: Array.from(section.querySelectorAll("tbody tr")),
  bars: Array.from(section.querySelectorAll(".bar")),
  count: section.querySelector(".count"),
}));
let openBefore = null; // the sections that were open when the first filter was set

// Without accents and capitals.
function plain(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

function filter() {
  const words = plain(search.value.trim());
  const labels = new Set(chips.filter((chip) => chip.ariaPressed === "true").map((chip) => chip.dataset.label));
  const isFiltered = words !== "" || speakerChoice.value !== "" || labels.size > 0;
  let shown = 0;
  rows.forEach((row, index) => {
    const isHidden = !texts[index].includes(words)
      || (speakerChoice.value !== "" && row.dataset.speaker !== speakerChoice.value)
      || (labels.size > 0 && !labels.has(row.dataset.label));
    shown += isHidden ? 0 : 1;
    if (row.hidden === isHidden) return;
    row.hidden = isHidden;
    const bar = barOf.get(index);
    if (bar) bar.hidden = isHidden;
  });
  foldByFilter(isFiltered);
  showAll.hidden = !isFiltered;
  const all = rows.length + (rows.length === 1 ? " utterance" : " utterances");
  document.getElementById("shown").textContent = isFiltered ? shown + " of " + all : all;
}

function foldByFilter(isFiltered) {
  if (isFiltered && openBefore === null) openBefore = sections.map((section) => section.open);
  let unfolded = 0;
  parts.forEach(({section, rows: all, bars, count}, place) => {
    const found = all.filter((row) => !row.hidden);
    section.hidden = found.length === 0;
    section.open = isFiltered ? unfolded < UNFOLDED : openBefore[place];
    unfolded += found.length;
    if (found.length > 0) stopAt(found[0]);
    const number = isFiltered ? found.length + " of " + all.length : all.length;
    count.textContent = number + (all.length === 1 ? " utterance" : " utterances");
    const first = bars.find((bar) => !bar.hidden);
    for (const bar of bars) bar.tabIndex = bar === first ? 0 : -1;
  });
  if (!isFiltered) openBefore = null;
}

let waiting;
search.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(filter, 150); // while more is typed
});
speakerChoice.addEventListener("change", filter);
for (const chip of chips) {
  chip.addEventListener("click", () => {
    chip.ariaPressed = String(chip.ariaPressed !== "true");
    filter();
  });
}
showAll.addEventListener("click", () => {
  search.value = "";
  speakerChoice.value = "";
  for (const chip of chips) chip.ariaPressed = "false";
  filter();
  search.focus();
});
document.getElementById("filters").hidden = false;
