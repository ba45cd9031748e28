"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const by = (id) => document.getElementById(id);
  const rows = [...document.querySelectorAll("tbody tr")];
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const stage = () => getComputedStyle(document.documentElement).getPropertyValue("--stage").trim();
  let viewer = null, model = null, chosen = null, hovered = null, mark = null, surfaces = [];

  const number = (value) => value.toPrecision(4).replace(/^-/, "−").replace(/^(?=\d)/, "+");
  const describe = (i) => {
    const atom = data.atoms[i];
    const value = atom.relevance === null ? "" : `: ${number(atom.relevance)}${data.unit ? " " + data.unit : ""}`;
    return `${atom.symbol} ${i}${value}`;
  };

  function point(i) {
    by("picked").textContent = i === null ? "" : describe(i);
    rows.forEach((row) => row.classList.toggle("picked", Number(row.dataset.index) === i));
    if (!viewer) return;
    if (mark) viewer.removeShape(mark);
    mark = null;
    if (i !== null) {
      const { x, y, z, radius } = data.atoms[i];
      mark = viewer.addSphere({ center: { x, y, z }, radius: radius * 1.25, color: "#e0a800", opacity: 0.3 });
    }
    viewer.render();
  }
  const refresh = () => point(hovered === null ? chosen : hovered);
  const choose = (i) => { chosen = chosen === i ? null : i; refresh(); };

  function paint() {
    const elements = by("colours").value === "element";
    data.atoms.forEach((atom, i) => {
      const colour = elements ? undefined : atom.colour;
      const style = elements ? { colorscheme: "Jmol" } : { color: colour };
      model.setStyle({ index: i }, { sphere: { radius: atom.radius, ...style }, stick: { radius: 0.13, ...style } });
    });
    for (const atom of model.selectedAtoms({})) {
      atom.bondStyles = atom.bondColours.map((c) => (elements ? {} : { color1: c, color2: c }));
    }
  }

  function label() {
    viewer.removeAllLabels();
    const kind = by("labels").value;
    if (kind === "none") return;
    data.atoms.forEach((atom, i) => viewer.addLabel(kind === "index" ? atom.symbol + i : atom.symbol, {
      position: { x: atom.x, y: atom.y, z: atom.z }, inFront: true, alignment: "center", fontSize: 13,
      fontColor: "#111111", backgroundColor: "#ffffff", backgroundOpacity: 0.6, borderThickness: 0, padding: 1,
    }));
  }

  function surface() {
    const bytes = Uint8Array.from(atob(data.volume.values), (c) => c.charCodeAt(0));
    const [x, y, z] = data.volume.size, m = data.volume.matrix;
    const volume = new $3Dmol.VolumeData("", "");
    volume.size = { x, y, z };
    volume.data = new Float32Array(bytes.buffer);
    volume.matrix = new $3Dmol.Matrix4(...m);
    const draw = () => {
      surfaces.forEach((shape) => viewer.removeShape(shape));
      // Potentials span decades: the slider is logarithmic.
      const level = data.volume.largest * 10 ** (3 * (by("share").value / 100 - 1));
      by("level").textContent = level.toPrecision(2) + (data.volume.unit ? " " + data.volume.unit : "");
      surfaces = [[level, data.volume.positive], [-level, data.volume.negative]].map(([isoval, color]) =>
        viewer.addIsosurface(volume, { isoval, color, opacity: 0.55, smoothness: 2 }));
      viewer.render();
    };
    by("surface").hidden = false;
    by("share").addEventListener("change", draw);
    by("share").addEventListener("input", () => {
      const level = data.volume.largest * 10 ** (3 * (by("share").value / 100 - 1));
      by("level").textContent = level.toPrecision(2) + (data.volume.unit ? " " + data.volume.unit : "");
    });
    draw();
  }

  function start() {
    viewer = $3Dmol.createViewer(by("viewer"), { backgroundColor: stage(), antialias: true });
    if (!viewer) throw new Error("no viewer");
    viewer.setViewStyle({ style: "outline", color: dark.matches ? "black" : "#4a5560", width: 0.02 });
    model = viewer.addModel();
    const atoms = data.atoms.map((atom, i) => ({
      elem: atom.symbol, x: atom.x, y: atom.y, z: atom.z, index: i, serial: i,
      bonds: [], bondOrder: [], bondColours: [], properties: {},
    }));
    for (const [i, j, order, colour] of data.bonds) {
      for (const [a, b] of [[i, j], [j, i]]) {
        atoms[a].bonds.push(b);
        atoms[a].bondOrder.push(order);
        atoms[a].bondColours.push(colour);
      }
    }
    model.addAtoms(atoms);
    paint();
    const at = (i) => ({ x: data.atoms[i].x, y: data.atoms[i].y, z: data.atoms[i].z });
    for (const [i, j, colour, radius] of data.pairs) {
      viewer.addCylinder({ start: at(i), end: at(j), radius, color: colour, dashed: true, dashLength: 0.15, gapLength: 0.12 });
    }
    viewer.setHoverable({}, true, (atom) => { hovered = atom.index; refresh(); }, () => { hovered = null; refresh(); });
    viewer.setClickable({}, true, (atom) => choose(atom.index));
    viewer.zoomTo();
    // Colours say nothing of elements; in a large molecule letters would hide them.
    if (data.atoms.length <= 60) by("labels").value = "element";
    label();
    viewer.render();
    if (data.volume) surface();
    by("colours").addEventListener("change", () => { paint(); viewer.render(); });
    by("labels").addEventListener("change", () => { label(); viewer.render(); });
    by("turn").addEventListener("change", (event) => viewer.spin(event.target.checked ? "y" : false, 0.5));
    dark.addEventListener("change", () => { viewer.setBackgroundColor(stage()); viewer.render(); });
    new ResizeObserver(() => { viewer.resize(); viewer.zoomTo(); viewer.render(); }).observe(by("viewer"));
  }

  rows.forEach((row) => {
    const i = Number(row.dataset.index);
    // A stylesheet cannot know the colours, and the page's policy allows no style attributes.
    row.firstElementChild.style.borderLeftColor = data.atoms[i].colour;
    row.tabIndex = 0;
    row.addEventListener("click", () => choose(i));
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(i); });
  });
  let last = null;
  document.querySelectorAll("th button").forEach((button) => button.addEventListener("click", () => {
    const key = button.dataset.key, sign = last === key ? -1 : 1;
    last = sign > 0 ? key : null;
    const value = (row) => (key === "index" ? Number(row.dataset.index) : data.atoms[row.dataset.index][key]);
    const order = (a, b) => (key === "relevance" ? Math.abs(value(b)) - Math.abs(value(a)) : value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : a.dataset.index - b.dataset.index);
    rows.sort((a, b) => sign * order(a, b)).forEach((row) => row.parentElement.append(row));
  }));
  try {
    start();
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    console.error(error);
    by("problem").hidden = false;
    by("problem").textContent = "This browser cannot show WebGL graphics; the numbers stand in the table.";
    document.documentElement.dataset.ready = "no";
  }
})();
