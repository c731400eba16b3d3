// Search in the text of all segments; case and accents do not matter.
const fold = (text) => text.normalize("NFKD").replace(/\p{Mn}/gu, "").toLocaleLowerCase();
const found = { query: "", hits: [], at: -1, marked: [] };
let folded = null; // the text of every segment, folded at the first search

function search(query) {
  unmark();
  Object.assign(found, { query, hits: [], at: -1 });
  const wanted = fold(query.trim());
  if (wanted) {
    folded ??= segments.map((_, index) => foldedWithPlaces(paragraph(index).textContent));
    folded.forEach(({ text, places }, index) => {
      for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
        found.hits.push([index, places[at], places[at + wanted.length - 1] + 1]);
      }
    });
  }
  showMatch(found.hits.length ? 0 : -1);
}

// Folding changes lengths, so each folded letter remembers where it was.
function foldedWithPlaces(text) {
  const [letters, places] = [[], []];
  for (let at = 0; at < text.length; ) {
    const letter = String.fromCodePoint(text.codePointAt(at));
    for (const unit of fold(letter)) {
      letters.push(unit);
      for (let number = 0; number < unit.length; number += 1) places.push(at + letter.length - 1);
    }
    at += letter.length;
  }
  return { text: letters.join(""), places };
}

function showMatch(number) {
  const count = found.hits.length;
  unmark();
  found.at = count ? (number + count) % count : -1;
  byId("matches").textContent = !found.query.trim() ? "" : count ? `${found.at + 1} of ${count}` : "no match";
  if (found.at < 0) return;
  // Marking all matches of a common word in a long recording would build most of its elements.
  const near = found.hits.slice(Math.max(0, found.at - 100), found.at + 100);
  for (const hit of near) mark(hit, "match");
  mark(found.hits[found.at], "chosen");
  bringIntoView(element(found.hits[found.at][0]));
}

function mark([index, from, to], name) {
  const { 2: words } = segments[index];
  wordsOf(index).forEach((word, number) => {
    const [offset, length] = words.slice(number * WORD_FIELDS, number * WORD_FIELDS + 2);
    if (offset >= to || offset + length <= from) return;
    word.classList.add(name);
    found.marked.push(word);
  });
}

function unmark() {
  for (const word of found.marked) word.classList.remove("match", "chosen");
  found.marked = [];
}

byId("search").addEventListener("input", (event) => search(event.target.value));
byId("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") showMatch(found.at + (event.shiftKey ? -1 : 1));
  else if (event.key === "Escape") {
    event.target.value = "";
    search("");
    event.target.blur();
  } else return;
  event.preventDefault();
});
byId("next").addEventListener("click", () => showMatch(found.at + 1));
byId("previous").addEventListener("click", () => showMatch(found.at - 1));
