// Run by test_page.py: `node viewer_check.js VIEWER.js` prints what the viewer does, as JSON.
globalThis.window = {};
globalThis.requestAnimationFrame = () => 0;
const source = require("fs").readFileSync(process.argv[2], "utf8");
const { ribbon, Viewer } = new Function(`${source}; return { ribbon, Viewer };`)();
const L = 30, ca = new Float32Array(3 * L), ss = new Uint8Array(L).fill(1);
for (let i = 0; i < L; i++) {
  ca.set([2.3 * Math.cos(1.745 * i), 2.3 * Math.sin(1.745 * i), 1.5 * i], 3 * i);
}
ss.fill(0, 0, 5);
const whole = ribbon({ ca, side: null, ss, stretch: 1 });
ca[3 * 20 + 2] += 500; // residue 20 flies off
const cut = ribbon({ ca, side: null, ss, stretch: 1 });
const calls = { fill: 0, stroke: 0 };
const count = (key) => () => { calls[key] += 1; };
const pen = new Proxy({}, { get: (_, key) => (key in calls ? count(key) : () => {}), set: () => true });
const canvas = { addEventListener() {}, getContext: () => pen, clientWidth: 300, clientHeight: 200 };
const viewer = new Viewer(canvas);
viewer.show({ ca, side: null, ss });
for (let k = 0; k < 40; k++) viewer.rotate(0.3, -0.2);
viewer.setZoom(1e9);
const t = viewer.turn, dot = (a, b) => t[a] * t[b] + t[a + 1] * t[b + 1] + t[a + 2] * t[b + 2];
console.log(JSON.stringify({
  whole: whole.length, cut: cut.length, flat: whole.filter((p) => p.flat).length,
  residues: [...new Set(whole.map((p) => p.residue))].length,
  orthonormal: [dot(0, 0), dot(3, 3), dot(6, 6), dot(0, 3), dot(0, 6), dot(3, 6)],
  finite: whole.every((p) => [...p.normal, ...p.from, ...p.to].every(Number.isFinite)),
  zoom: viewer.zoom, drawn: viewer.drawn, calls,
}));
