// What the page was given, and the few helpers that every part uses.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const media = byId("media");
const segments = data.segments; // each [start ms, end ms, words]; see page_data.py
const WORD_FIELDS = 5; // offset, length, start ms after the segment's, duration ms, sure %
const UNKNOWN = -1; // a word whose probability is not known

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

// The last index whose start is at or before `ms`; -1 where there is none.
function lastBefore(count, startOf, ms) {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (startOf(middle) <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

const segmentAt = (ms) => lastBefore(segments.length, (index) => segments[index][0], ms);
const element = (index) => byId(`s${index}`);
const paragraph = (index) => element(index).querySelector("p");

function bytesOf(id) {
  const raw = atob(byId(id).textContent);
  return Uint8Array.from(raw, (letter) => letter.charCodeAt(0));
}
