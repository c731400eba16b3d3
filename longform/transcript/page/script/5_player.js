// The player, the keys and the buttons. Without a recording the position moves all the same.
let silentPosition = 0;
const playable = () => media.readyState > 0;
const position = () => (playable() ? media.currentTime : silentPosition);

function seek(seconds) {
  silentPosition = Math.max(0, Math.min(seconds, duration));
  if (playable()) media.currentTime = silentPosition;
  refresh();
}

function play() {
  // A browser may refuse, or not know the format; the error event below says so.
  if (playable() && media.paused) media.play().catch(() => {});
}

function refresh() {
  const seconds = position();
  showNow(seconds * 1000);
  drawPosition(seconds);
  overview.setAttribute("aria-valuenow", seconds.toFixed(1));
  overview.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(duration)}`);
}

function tick() {
  refresh();
  if (!media.paused && !media.ended) requestAnimationFrame(tick);
}

media.addEventListener("play", () => requestAnimationFrame(tick));
for (const name of ["seeked", "pause"]) media.addEventListener(name, refresh);
media.addEventListener("loadedmetadata", () => {
  byId("no-media").hidden = true;
  const asked = /^#t=([\d.]+)$/.exec(location.hash);
  media.currentTime = asked ? Number(asked[1]) : silentPosition;
});
media.addEventListener("error", () => offerChoice("The recording cannot be played from here."));

function offerChoice(reason) {
  byId("no-media-reason").textContent = reason;
  byId("no-media").hidden = false;
}

byId("choose").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) media.src = URL.createObjectURL(file);
});

const recording = byId("recording");
if (recording) {
  media.src = URL.createObjectURL(new Blob([bytesOf("recording")], { type: recording.dataset.mime }));
} else if (!media.hasAttribute("src")) offerChoice("The recording is not in this file.");

async function download(button) {
  const packed = new Blob([bytesOf(`file-${button.dataset.file}`)]);
  const unpacked = packed.stream().pipeThrough(new DecompressionStream("gzip"));
  const content = await new Response(unpacked).arrayBuffer();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: button.dataset.mime }));
  link.download = button.dataset.name;
  link.click();
  URL.revokeObjectURL(link.href);
}
for (const button of document.querySelectorAll("[data-file]")) {
  button.addEventListener("click", () => download(button));
}

function changeSpeed(steps) {
  const options = [...byId("speed").options];
  const chosen = Math.max(0, Math.min(options.length - 1, byId("speed").selectedIndex + steps));
  byId("speed").selectedIndex = chosen;
  media.playbackRate = Number(options[chosen].value);
}

function stepSegment(steps) {
  const index = Math.max(0, Math.min(segments.length - 1, segmentAt(position() * 1000) + steps));
  if (!segments.length) return;
  seek(segments[index][0] / 1000);
  bringIntoView(element(index));
}

function stepLow() {
  const at = nextLow(position() * 1000);
  if (at === null) return;
  seek(at / 1000);
  bringIntoView(element(segmentAt(at)));
}

const keys = {
  " ": () => (media.paused ? play() : media.pause()),
  ArrowLeft: (event) => seek(position() - (event.shiftKey ? 30 : 5)),
  ArrowRight: (event) => seek(position() + (event.shiftKey ? 30 : 5)),
  j: () => stepSegment(1),
  k: () => stepSegment(-1),
  u: stepLow,
  "/": () => byId("search").focus(),
  ",": () => changeSpeed(-1),
  ".": () => changeSpeed(1),
  "?": () => byId("keys").showModal(),
};
const overviewKeys = { Home: () => seek(0), End: () => seek(duration) };

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea, dialog, audio, video");
  const pressing = event.key === " " && event.target.closest("button, summary, input, a");
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = (event.target === overview && overviewKeys[event.key]) || keys[event.key];
  if (!act) return;
  event.preventDefault();
  act(event);
});

byId("speed").addEventListener("change", () => changeSpeed(0));
byId("theme").addEventListener("change", (event) => {
  document.documentElement.dataset.theme = event.target.value;
  redraw();
});
byId("print").addEventListener("click", () => window.print());
byId("help").addEventListener("click", () => byId("keys").showModal());
window.addEventListener("resize", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

readColours();
const asked = /^#t=([\d.]+)$/.exec(location.hash);
seek(asked ? Number(asked[1]) : 0);
