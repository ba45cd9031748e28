"use strict";
// The molecule in three dimensions, by 3Dmol.js, which is loaded when a page needs it. There is one stage: browsers
// allow few WebGL canvases, and the next sample can use it again.
sciexplain.moleculeStage = (() => {
  const { element, asset } = sciexplain;
  const LIBRARY = "3Dmol-min.js";
  const PLAIN = "#b9c0c7", MARK = "#e0a800";
  const TURN = 15, LABELLED = 60;
  const KEYS = { ArrowLeft: [-TURN, "y"], ArrowRight: [TURN, "y"], ArrowUp: [-TURN, "x"], ArrowDown: [TURN, "x"], "<": [TURN, "z"], ">": [-TURN, "z"] };
  let stage = null; // a promise of it

  const ground = () => getComputedStyle(document.documentElement).getPropertyValue("--stage").trim();
  // 3Dmol.js wants a colour that it can read, and light-dark() is none.
  function shade() {
    const probe = element("span", { style: { color: ground() || "#eceff2" } });
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  // 3Dmol.js logs errors where there is none.
  function hasWebGL() {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("webgl2") ?? canvas.getContext("webgl");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(context);
  }

  function opened() {
    stage ??= open().catch((error) => { stage = null; throw error; });
    return stage;
  }
  async function open() {
    if (!hasWebGL()) throw new Error("no WebGL");
    await asset(LIBRARY);
    const place = element("div", { class: "molecule-viewer", tabindex: 0, role: "application" });
    // Between samples it waits out of sight, but with a size: WebGL cannot draw on nothing.
    const holder = element("div", { class: "molecule-holder", inert: true, "aria-hidden": "true" }, place);
    document.body.append(holder);
    const viewer = made(place, holder);
    function dress(paper) {
      viewer.setBackgroundColor(paper ? "#ffffff" : shade());
      viewer.setViewStyle({ style: "outline", color: sciexplain.isDark() && !paper ? "black" : "#4a5560", width: 0.02 });
      viewer.render();
    }
    dress(false);
    document.addEventListener("sciexplain:theme", () => dress(false));
    addEventListener("beforeprint", () => dress(true));
    addEventListener("afterprint", () => dress(false));
    return { place, viewer, holder };
  }

  function made(place, holder) {
    try {
      const viewer = $3Dmol.createViewer(place, { backgroundColor: shade(), antialias: true, preserveDrawingBuffer: true });
      if (viewer) return viewer;
    } catch (error) {
      console.warn(error);
    }
    holder.remove();
    throw new Error("3Dmol.js has no viewer");
  }

  // Shows a molecule in a place; point has over(atom or null) and pick(atom).
  async function show(into, data, colours, point, signal) {
    const { place, viewer, holder } = await opened();
    if (signal?.aborted) return null;
    into.replaceChildren(place);
    place.setAttribute("aria-label", "Molecule in three dimensions: arrow keys turn it, + and − bring it nearer, space lets it turn; the table of atoms has the same numbers");
    viewer.spin(false);
    viewer.resize();
    viewer.removeAllModels();
    viewer.removeAllShapes();
    viewer.removeAllLabels();
    const { positions, hydrogens, radii } = data.solid, known = data.elements.length;
    const elements = [...data.elements, ...hydrogens.map(() => "H")];
    const at = (i) => ({ x: positions[3 * i] / 1000, y: positions[3 * i + 1] / 1000, z: positions[3 * i + 2] / 1000 });
    const bonds = [...data.bonds.map(([i, j, , lines, value]) => [i, j, lines, value]), ...hydrogens.map((of, k) => [of, known + k, 1, null])];
    const radius = (i) => (i < known ? radii[elements[i]] : 0.7 * radii.H);
    const state = { byElement: false, hydrogens: true, turning: false };

    function paint() {
      viewer.removeAllModels();
      const model = viewer.addModel();
      const there = elements.map((_, i) => i < known || state.hydrogens);
      const place = new Map(), atoms = [];
      elements.forEach((elem, i) => {
        if (!there[i]) return;
        place.set(i, atoms.length);
        atoms.push({ elem, ...at(i), index: atoms.length, serial: i, bonds: [], bondOrder: [], bondStyles: [], properties: { atom: i } });
      });
      for (const [i, j, lines, value] of bonds) {
        if (!there[i] || !there[j]) continue;
        const colour = value === null || value === undefined ? PLAIN : colours.of(value);
        for (const [a, b] of [[i, j], [j, i]]) {
          const atom = atoms[place.get(a)];
          atom.bonds.push(place.get(b));
          atom.bondOrder.push(lines);
          atom.bondStyles.push(state.byElement ? {} : { color1: colour, color2: colour });
        }
      }
      const styles = atoms.map((atom) => atom.bondStyles);
      model.addAtoms(atoms);
      atoms.forEach((atom, k) => {
        const i = atom.properties.atom, look = state.byElement ? { colorscheme: "Jmol" } : { color: i < known ? colours.of(data.relevance[i]) : PLAIN };
        model.setStyle({ index: k }, { sphere: { radius: radius(i), ...look }, stick: { radius: i < known ? 0.13 : 0.08, ...look } });
      });
      // what setStyle leaves alone is taken bond by bond
      for (const atom of model.selectedAtoms({})) atom.bondStyles = styles[atom.index];
      viewer.setHoverable({}, true, (atom) => point.over(atom.properties.atom < known ? atom.properties.atom : null), () => point.over(null));
      viewer.setClickable({}, true, (atom) => { if (atom.properties.atom < known) point.pick(atom.properties.atom); });
      letter();
    }

    function letter() {
      viewer.removeAllLabels();
      if (!state.letters) return;
      for (let i = 0; i < known; i++) viewer.addLabel(state.letters === "numbers" ? `${elements[i]}${i}` : elements[i], { position: at(i), inFront: true, alignment: "center", fontSize: 12, fontColor: "#111111", backgroundColor: "#ffffff", backgroundOpacity: 0.55, borderThickness: 0, padding: 1 });
    }

    let marks = [];
    function highlight(atoms) {
      marks.forEach((mark) => viewer.removeShape(mark));
      marks = atoms.map((i) => viewer.addSphere({ center: at(i), radius: radius(i) * 1.35, color: MARK, opacity: 0.4 }));
      viewer.render();
    }
    function turn(on) {
      state.turning = on;
      viewer.spin(on ? "y" : false, 0.5);
    }
    function farPairs() {
      for (const [i, j, value] of colours.far) {
        const share = Math.min(1, Math.abs(value) / colours.limit);
        viewer.addCylinder({ start: at(i), end: at(j), radius: 0.02 + 0.06 * share, color: colours.of(Math.sign(value) * colours.limit), dashed: true, dashLength: 0.15, gapLength: 0.12 });
      }
    }

    state.letters = known <= LABELLED ? "elements" : "";
    paint();
    farPairs();
    viewer.setView([0, 0, 0, 0, 0, 0, 0, 1]);
    viewer.zoomTo();
    viewer.render();

    place.onkeydown = (event) => {
      if (KEYS[event.key]) viewer.rotate(...KEYS[event.key]);
      else if (event.key === "+" || event.key === "=") viewer.zoom(1.2);
      else if (event.key === "-") viewer.zoom(1 / 1.2);
      else if (event.key === "0") { viewer.setView([0, 0, 0, 0, 0, 0, 0, 1]); viewer.zoomTo(); }
      else if (event.key === " ") controls.turning(!state.turning);
      else return;
      event.preventDefault();
      event.stopPropagation();
      viewer.render();
    };
    const watch = new ResizeObserver(() => { if (place.isConnected) { viewer.resize(); viewer.render(); } });
    watch.observe(into);
    signal?.addEventListener("abort", () => { watch.disconnect(); viewer.spin(false); place.onkeydown = null; holder.append(place); });

    const controls = {
      place, highlight,
      turning: (on) => { turn(on); controls.onturning?.(on); },
      byElement: (on) => { state.byElement = on; paint(); viewer.render(); },
      letters: (kind) => { state.letters = kind; letter(); viewer.render(); },
      get lettered() { return state.letters; },
      hydrogens: (on) => { state.hydrogens = on; paint(); viewer.render(); },
      view: () => viewer.getView(),
    };
    return controls;
  }

  return { show };
})();
