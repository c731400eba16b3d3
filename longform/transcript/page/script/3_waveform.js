// Two waveforms: the whole recording, which is the slider, and the minute around the position.
const peaks = bytesOf("peaks");
const DETAIL_SEC = 60;
const duration = data.durationSec;
// The loudest bars are single clicks: full height is what only 1 in 200 exceeds.
const loudest = Math.max(8, Uint8Array.from(peaks).sort()[Math.floor(peaks.length * 0.995)] ?? 8);
const [overview, detail] = [byId("overview"), byId("detail")];
let colours = {};
let backdrop = null; // the overview without its cursor: drawn once for each size and theme

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "ink", "soft", "accent", "wave", "wave-silent", "damaged", "failed"];
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function sized(canvas) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale].map(Math.round);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return canvas.getContext("2d");
}

function drawWave(context, fromSec, toSec) {
  const { width, height } = context.canvas;
  const x = (seconds) => ((seconds - fromSec) / (toSec - fromSec)) * width;
  context.clearRect(0, 0, width, height);
  const perPixel = (toSec - fromSec) / width;
  let kind = 0;
  for (let column = 0; column < width; column += 1) {
    const start = fromSec + column * perPixel;
    if (start < 0 || start >= duration) continue;
    while (kind + 1 < data.coverage.length && data.coverage[kind + 1][0] <= start * 1000) kind += 1;
    const silent = data.coverage[kind]?.[2] !== "speech";
    const bar = barHeight(start, perPixel) * height;
    context.fillStyle = silent ? colours["wave-silent"] : colours.wave;
    context.fillRect(column, (height - bar) / 2, 1, Math.max(1, bar));
  }
  drawGaps(context, x);
  drawCuts(context, x, fromSec, toSec);
}

function barHeight(start, length) {
  const first = Math.floor(start / data.barSec);
  const last = Math.max(first + 1, Math.ceil((start + length) / data.barSec));
  let level = 0;
  for (let bar = first; bar < last; bar += 1) level = Math.max(level, peaks[bar] ?? 0);
  return Math.min(1, level / loudest) * 0.94;
}

function drawGaps(context, x) {
  const { height } = context.canvas;
  for (const [start, end, kind] of data.coverage) {
    if (kind !== "damaged" && kind !== "failed") continue;
    const [left, right] = [x(start / 1000), Math.max(x(end / 1000), x(start / 1000) + 2)];
    context.fillStyle = context.strokeStyle = colours[kind];
    context.globalAlpha = kind === "failed" ? 0.55 : 1;
    if (kind === "failed") context.fillRect(left, 0, right - left, height);
    else hatch(context, left, right, height);
    context.globalAlpha = 1;
  }
}

function hatch(context, left, right, height) {
  context.save();
  context.beginPath();
  context.rect(left, 0, right - left, height);
  context.clip();
  context.beginPath();
  for (let place = left - height; place < right; place += 6) {
    context.moveTo(place, height);
    context.lineTo(place + height, 0);
  }
  context.lineWidth = 2;
  context.stroke();
  context.restore();
}

function drawCuts(context, x, fromSec, toSec) {
  const { width, height } = context.canvas;
  const crowded = (toSec - fromSec) / width > 0.5; // seconds a pixel: micro chunks would touch
  for (const [starts, colour, line, shown] of [
    [data.microStarts, colours.soft, [4, 4], !crowded],
    [data.macroStarts, colours.ink, [], true],
  ]) {
    if (!shown) continue;
    context.strokeStyle = colour;
    context.lineWidth = line.length ? 1 : 2;
    context.setLineDash(line);
    context.beginPath();
    for (const start of starts) {
      const place = x(start / 1000);
      if (place <= 1 || place > width) continue;
      context.moveTo(place, 0);
      context.lineTo(place, height);
    }
    context.stroke();
  }
  context.setLineDash([]);
}

function drawCursor(context, place) {
  context.fillStyle = colours.accent;
  context.fillRect(place - 1, 0, 3, context.canvas.height);
}

function drawPosition(seconds) {
  const context = sized(overview);
  if (!backdrop) {
    drawWave(context, 0, duration);
    backdrop = document.createElement("canvas");
    Object.assign(backdrop, { width: overview.width, height: overview.height });
    backdrop.getContext("2d").drawImage(overview, 0, 0);
  }
  context.clearRect(0, 0, overview.width, overview.height);
  context.drawImage(backdrop, 0, 0);
  drawCursor(context, (seconds / duration) * overview.width);
  if (!detail.clientWidth) return;
  const from = Math.max(0, Math.min(seconds - DETAIL_SEC / 2, duration - DETAIL_SEC));
  const to = from + Math.min(DETAIL_SEC, duration);
  const close = sized(detail);
  drawWave(close, from, to);
  drawCursor(close, ((seconds - from) / (to - from)) * detail.width);
  detail.dataset.from = from;
  detail.dataset.to = to;
}

function redraw() {
  backdrop = null;
  readColours();
  drawPosition(position());
}

overview.addEventListener("click", (event) => seek((event.offsetX / overview.clientWidth) * duration));
detail.addEventListener("click", (event) => {
  const [from, to] = [Number(detail.dataset.from), Number(detail.dataset.to)];
  seek(from + (event.offsetX / detail.clientWidth) * (to - from));
});
