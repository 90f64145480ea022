"use strict";
/* A cartoon of protein backbones on a 2D canvas: ribbons for helices and strands, tubes elsewhere.
 *
 * A structure is {ca: Float32Array(3L), side: Int8Array(3L) or null, ss: Uint8Array(L)}; positions
 * in angstrom, side = direction from C to O, ss = 0 coil, 1 helix, 2 strand. Everything is drawn
 * far to near (painter's algorithm), shaded by its normal and faded with depth. */

const Vec = {
  sub: (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]],
  add: (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]],
  mul: (a, s) => [a[0] * s, a[1] * s, a[2] * s],
  dot: (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2],
  cross: (a, b) => [
    a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0],
  ],
  unit: (a) => { const n = Math.hypot(a[0], a[1], a[2]); return n > 1e-6 ? Vec.mul(a, 1 / n) : [0, 0, 1]; },
};

const STEPS = 5; // pieces of ribbon per residue
const WIDTH = [0.32, 1.35, 1.25]; // half widths of coil, helix, strand (angstrom)
const GREY = () => [150, 150, 150];
const MAX_STEP = 4.6; // consecutive CA farther apart are not joined (angstrom)

/** Cut a structure into pieces of ribbon: corners, normal, residue. */
function ribbon(structure) {
  const L = structure.ca.length / 3;
  const raw = (i) => [structure.ca[3 * i], structure.ca[3 * i + 1], structure.ca[3 * i + 2]];
  const at = []; // strands are pleated: their ribbon runs through the mean
  for (let i = 0; i < L; i++) {
    const inside = structure.ss[i] === 2 && i > 0 && i < L - 1
      && structure.ss[i - 1] === 2 && structure.ss[i + 1] === 2;
    at.push(inside ? Vec.mul(Vec.add(Vec.add(raw(i - 1), raw(i + 1)), Vec.mul(raw(i), 2)), 0.25) : raw(i));
  }
  const joined = (i) => i >= 0 && i + 1 < L && Math.hypot(...Vec.sub(raw(i + 1), raw(i))) < MAX_STEP * structure.stretch;
  const across = [];
  for (let i = 0; i < L; i++) {
    const along = Vec.unit(Vec.sub(at[Math.min(i + 1, L - 1)], at[Math.max(i - 1, 0)]));
    let o = structure.side ? [structure.side[3 * i], structure.side[3 * i + 1], structure.side[3 * i + 2]] : [0, 0, 0];
    if (o[0] === 0 && o[1] === 0 && o[2] === 0 && i > 0 && i < L - 1) {
      o = Vec.cross(Vec.sub(at[i], at[i - 1]), Vec.sub(at[i + 1], at[i]));
    }
    o = Vec.unit(Vec.sub(o, Vec.mul(along, Vec.dot(o, along))));
    if (i > 0 && Vec.dot(o, across[i - 1]) < 0) o = Vec.mul(o, -1);
    across.push(o);
  }
  const width = (i, u) => { // an arrow head over the last residue of a strand
    const kind = structure.ss[i], next = i + 1 < L ? structure.ss[i + 1] : 0;
    if (kind === 2 && next !== 2) return 2.1 * (1 - u) + WIDTH[0] * u;
    if (kind === next) return WIDTH[kind];
    return WIDTH[kind] * (1 - u) + WIDTH[next] * u;
  };
  const pieces = [];
  for (let i = 0; i + 1 < L; i++) {
    if (!joined(i)) continue;
    const before = joined(i - 1) ? at[i - 1] : at[i], after = joined(i + 1) ? at[i + 2] : at[i + 1];
    let last = null;
    for (let k = 0; k <= STEPS; k++) {
      const u = k / STEPS, u2 = u * u, u3 = u2 * u; // Catmull-Rom spline
      const weight = [(-u3 + 2 * u2 - u) / 2, (3 * u3 - 5 * u2 + 2) / 2, (-3 * u3 + 4 * u2 + u) / 2, (u3 - u2) / 2];
      let point = [0, 0, 0];
      [before, at[i], at[i + 1], after].forEach((p, m) => { point = Vec.add(point, Vec.mul(p, weight[m])); });
      const side = Vec.unit(Vec.add(Vec.mul(across[i], 1 - u), Vec.mul(across[i + 1], u)));
      const w = width(i, u);
      const edge = { point, left: Vec.add(point, Vec.mul(side, w)), right: Vec.sub(point, Vec.mul(side, w)), side };
      if (last) {
        const flat = structure.ss[i] !== 0 || (structure.ss[i + 1] !== 0 && i + 1 < L);
        const normal = Vec.unit(Vec.cross(Vec.sub(edge.point, last.point), edge.side));
        pieces.push({ flat, corners: [last.left, edge.left, edge.right, last.right], from: last.point, to: edge.point,
          normal, residue: u <= 0.5 ? i : i + 1 });
      }
      last = edge;
    }
  }
  return pieces;
}

class Viewer {
  constructor(canvas) {
    this.canvas = canvas;
    this.turn = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    this.zoom = 1;
    this.pieces = [];
    this.colour = GREY;
    this.spinning = false;
    this.drawn = 0; // frames drawn, for tests
    this.pointers = new Map();
    canvas.addEventListener("pointerdown", (e) => {
      canvas.setPointerCapture(e.pointerId);
      this.pointers.set(e.pointerId, [e.clientX, e.clientY]);
    });
    canvas.addEventListener("pointermove", (e) => this.onMove(e));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (e) => this.pointers.delete(e.pointerId));
    }
    canvas.addEventListener("wheel", (e) => {
      e.preventDefault();
      this.setZoom(this.zoom * Math.exp(-e.deltaY * 0.0015));
    }, { passive: false });
    canvas.addEventListener("keydown", (e) => this.onKey(e));
    canvas.addEventListener("dblclick", () => this.reset());
  }

  onMove(e) {
    const last = this.pointers.get(e.pointerId);
    if (!last) return;
    const moved = [e.clientX - last[0], e.clientY - last[1]];
    if (this.pointers.size === 2) { // two fingers zoom
      const other = [...this.pointers].find(([id]) => id !== e.pointerId)[1];
      const gap = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) + 1;
      this.setZoom(this.zoom * gap([e.clientX, e.clientY]) / gap(last));
    } else {
      this.rotate(moved[0] * 0.01, moved[1] * 0.01);
    }
    this.pointers.set(e.pointerId, [e.clientX, e.clientY]);
  }

  onKey(e) {
    const step = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[e.key];
    if (step) this.rotate(...step);
    else if (e.key === "+" || e.key === "=") this.setZoom(this.zoom * 1.2);
    else if (e.key === "-") this.setZoom(this.zoom / 1.2);
    else return;
    e.preventDefault();
    e.stopPropagation();
  }

  reset() {
    this.turn = [1, 0, 0, 0, 1, 0, 0, 0, 1];
    this.setZoom(1);
  }

  setZoom(zoom) {
    this.zoom = Math.min(12, Math.max(0.2, zoom));
    this.draw();
  }

  /** Turn about the screen's vertical axis by yaw and its horizontal axis by pitch (radians). */
  rotate(yaw, pitch) {
    const [cy, sy, cp, sp] = [Math.cos(yaw), Math.sin(yaw), Math.cos(pitch), Math.sin(pitch)];
    const r = [cy, 0, sy, sp * sy, cp, -sp * cy, -cp * sy, sp, cp * cy], t = this.turn, out = [];
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) out.push(r[3 * i] * t[j] + r[3 * i + 1] * t[3 + j] + r[3 * i + 2] * t[6 + j]);
    }
    this.turn = out;
    this.draw();
  }

  /** Show a structure; `keepView` leaves the centre and scale as they are (frames of one way). */
  show(structure, keepView = false) {
    const L = structure.ca.length / 3;
    if (!structure.stretch) structure.stretch = 1;
    this.structure = structure;
    if (!keepView) {
      const centre = [0, 0, 0];
      for (let i = 0; i < 3 * L; i++) centre[i % 3] += structure.ca[i] / Math.max(L, 1);
      let radius = 5;
      for (let i = 0; i < L; i++) {
        radius = Math.max(radius, Math.hypot(structure.ca[3 * i] - centre[0], structure.ca[3 * i + 1] - centre[1], structure.ca[3 * i + 2] - centre[2]));
      }
      this.centre = centre;
      this.radius = radius + 3;
      this.colour = GREY; // the last colouring belongs to other residues
    }
    this.pieces = ribbon(structure);
    this.draw();
  }

  setColour(colour) {
    this.colour = colour;
    this.draw();
  }

  spin(on) {
    this.spinning = on;
    const step = () => {
      if (!this.spinning) return;
      this.rotate(0.012, 0);
      requestAnimationFrame(step);
    };
    if (on) requestAnimationFrame(step);
  }

  draw() {
    const dense = window.devicePixelRatio || 1;
    const w = this.canvas.clientWidth, h = this.canvas.clientHeight;
    if (this.canvas.width !== Math.round(w * dense) || this.canvas.height !== Math.round(h * dense)) {
      this.canvas.width = Math.round(w * dense);
      this.canvas.height = Math.round(h * dense);
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, w, h);
    this.drawn += 1;
    if (!this.pieces.length) return;
    const scale = (Math.min(w, h) / (1.75 * this.radius)) * this.zoom, t = this.turn, c = this.centre;
    const eye = (p) => {
      const x = p[0] - c[0], y = p[1] - c[1], z = p[2] - c[2];
      return [t[0] * x + t[1] * y + t[2] * z, t[3] * x + t[4] * y + t[5] * z, t[6] * x + t[7] * y + t[8] * z];
    };
    const far = 4 * this.radius; // distance of the eye
    const screen = (q) => {
      const s = (scale * far) / Math.max(far - q[2], 1);
      return [w / 2 + q[0] * s, h / 2 - q[1] * s];
    };
    const todo = this.pieces.map((piece) => ({ piece, from: eye(piece.from), to: eye(piece.to) }));
    todo.sort((a, b) => a.from[2] + a.to[2] - b.from[2] - b.to[2]);
    pen.lineJoin = "round";
    for (const { piece, from, to } of todo) {
      const depth = Math.min(1, Math.max(0, ((from[2] + to[2]) / 2 / this.radius + 1) / 2)); // 0 far, 1 near
      const n = piece.normal;
      const facing = Math.abs(t[6] * n[0] + t[7] * n[1] + t[8] * n[2]);
      const light = piece.flat ? 0.55 + 0.45 * facing : 0.9;
      const fade = 0.55 * (1 - depth); // toward white
      const rgb = this.colour(piece.residue).map((v) => Math.round(v * light * (1 - fade) + 255 * fade));
      const fill = `rgb(${rgb})`, rim = `rgb(${rgb.map((v) => Math.round(v * 0.72))})`;
      const a = screen(from), b = screen(to);
      if (piece.flat) {
        const corners = piece.corners.map((p) => screen(eye(p)));
        pen.beginPath();
        corners.forEach((p, k) => (k ? pen.lineTo(p[0], p[1]) : pen.moveTo(p[0], p[1])));
        pen.closePath();
        pen.fillStyle = fill;
        pen.fill();
        pen.strokeStyle = fill; // hides the seams between pieces
        pen.lineWidth = 0.8;
        pen.stroke();
        pen.strokeStyle = rim;
        pen.lineWidth = Math.max(0.6, 0.12 * scale);
        for (const [p, q] of [[0, 1], [2, 3]]) {
          pen.beginPath();
          pen.moveTo(...corners[p]);
          pen.lineTo(...corners[q]);
          pen.stroke();
        }
      } else {
        const wide = Math.max(1.6, 0.62 * scale * (0.75 + 0.5 * depth));
        for (const [style, width, cap] of [[rim, wide + 1.4, "butt"], [fill, wide, "round"]]) {
          pen.strokeStyle = style;
          pen.lineWidth = width;
          pen.lineCap = cap;
          pen.beginPath();
          pen.moveTo(...a);
          pen.lineTo(...b);
          pen.stroke();
        }
      }
    }
  }
}
