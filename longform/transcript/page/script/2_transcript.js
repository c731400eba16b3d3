// The words of the segments near the window become elements of their own; the rest stays text.
let threshold = 50;

function wordsOf(index) {
  const shown = paragraph(index);
  if (!shown.dataset.ready) splitIntoWords(index, shown);
  return shown.querySelectorAll(".word");
}

function splitIntoWords(index, shown) {
  shown.dataset.ready = "yes";
  const [, , words] = segments[index];
  const text = shown.textContent;
  const parts = [];
  let position = 0;
  for (let place = 0; place < words.length; place += WORD_FIELDS) {
    const [offset, length, start, , sure] = words.slice(place, place + WORD_FIELDS);
    if (offset > position) parts.push(text.slice(position, offset));
    const word = document.createElement("span");
    word.className = "word";
    word.textContent = text.slice(offset, offset + length);
    word.dataset.at = segments[index][0] + start;
    if (sure !== UNKNOWN) {
      word.dataset.sure = sure;
      word.title = `${sure} % sure`;
    }
    markLow(word);
    parts.push(word);
    position = offset + length;
  }
  parts.push(text.slice(position));
  shown.replaceChildren(...parts);
}

function markLow(word) {
  word.classList.toggle("low", "sure" in word.dataset && Number(word.dataset.sure) < threshold);
}

const nearby = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const shown of entry.target.querySelectorAll(".segment")) wordsOf(Number(shown.id.slice(1)));
      nearby.unobserve(entry.target);
    }
  },
  { rootMargin: "800px 0px" },
);
for (const block of document.querySelectorAll(".block")) nearby.observe(block);

byId("threshold").addEventListener("input", (event) => {
  threshold = Number(event.target.value);
  byId("threshold-value").textContent = `${threshold} %`;
  document.querySelectorAll(".word").forEach(markLow);
});

// Where the next word below the threshold begins, in ms; from the first again after the last.
function nextLow(afterMs) {
  let first = null;
  for (const [start, , words] of segments) {
    for (let place = 0; place < words.length; place += WORD_FIELDS) {
      const sure = words[place + 4];
      if (sure === UNKNOWN || sure >= threshold) continue;
      const at = start + words[place + 2];
      if (at > afterMs) return at;
      first ??= at;
    }
  }
  return first;
}

// What sounds now: the segment and, where times of words are known, the word.
const now = { segment: -1, word: null };

function showNow(ms) {
  const index = segmentAt(ms);
  if (index !== now.segment) {
    if (now.segment >= 0) element(now.segment).classList.remove("current");
    if (index >= 0) element(index).classList.add("current");
    now.segment = index;
    if (index >= 0 && byId("follow").checked && !media.paused) bringIntoView(element(index));
  }
  const word = index < 0 ? null : wordAt(index, ms);
  if (word === now.word) return;
  now.word?.classList.remove("now");
  word?.classList.add("now");
  now.word = word;
}

function wordAt(index, ms) {
  const [start, , words] = segments[index];
  const startOf = (number) => start + words[number * WORD_FIELDS + 2];
  const number = lastBefore(words.length / WORD_FIELDS, startOf, ms);
  if (number < 0 || ms >= startOf(number) + words[number * WORD_FIELDS + 3]) return null;
  return wordsOf(index)[number];
}

function bringIntoView(target) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  target.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
}

byId("transcript").addEventListener("click", (event) => {
  const word = event.target.closest(".word");
  const time = event.target.closest(".time");
  if (word) seek(Number(word.dataset.at) / 1000);
  if (time) {
    seek(segments[Number(time.parentElement.id.slice(1))][0] / 1000);
    play();
  }
});
for (const button of document.querySelectorAll("[data-segment]")) {
  button.addEventListener("click", () => {
    const index = Number(button.dataset.segment);
    seek(segments[index][0] / 1000);
    bringIntoView(element(index));
  });
}
