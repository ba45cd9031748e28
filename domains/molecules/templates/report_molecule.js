"use strict";
// A molecule: its formula, its shape, and the numbers of its atoms, bonds, walks and fragments, linked to each other.
(() => {
  const { element, signed, moleculeDrawing: drawing, moleculeStage: stage } = sciexplain;
  // Kept from one sample to the next.
  const choice = { numbers: false, walks: false, byElement: false, hydrogens: true };

  class View {
    constructor(place, data, context) {
      Object.assign(this, { place, data, context, unit: context.meta.unit ?? "" });
      this.limit = drawing.limitOf(data);
      this.pinned = { atoms: [] };
      this.pointed = null;
      this.tables = [];
    }

    name(i) { return `${this.data.elements[i]}${i}`; }
    get quantity() { return this.unit ? `relevance (${this.unit})` : "relevance"; }
    value(of) { return `${signed(of)}${this.unit ? ` ${this.unit}` : ""}`; }

    async build() {
      this.read = element("p", { class: "molecule-read", "aria-live": "polite" });
      this.rows = element("div", { class: "molecule-tables" });
      this.solid = element("div", { class: "molecule-stage" });
      this.place.append(element("div", { class: "molecule" },
        element("div", { class: "molecule-views" }, this.flat(), element("section", { class: "molecule-solid", "aria-label": "In three dimensions" }, this.solid)),
        this.read, this.rows));
      this.list();
      this.point();
      await this.raise();
    }
    what() {
      const pairs = this.data.bonds.some((bond) => bond[4] !== null);
      return `${this.quantity} of atoms (discs)${pairs ? " and of what passes along bonds (bands)" : ""}`;
    }

    // ---- the formula

    flat() {
      const section = element("section", { class: "molecule-flat", "aria-label": "Structural formula" });
      if (!this.data.formula) {
        section.append(element("p", { class: "molecule-none" }, this.data.no_formula ?? "There is no formula of this molecule."));
        return section;
      }
      const label = `Structural formula, ${this.data.elements.length} atoms coloured by relevance; the table of atoms has the same numbers`;
      this.paper = drawing.make(this.data, this.context, { notes: choice.numbers, label, point: { over: (atom) => this.over(atom === null ? null : [atom], "flat"), pick: (atom) => this.pick([atom], "flat") } });
      const sheet = element("div", { class: "molecule-sheet", tabindex: 0, role: "application", "aria-label": "Formula; arrow keys go from atom to atom, + and − change the size", onkeydown: (event) => this.keyed(event) }, this.paper.element);
      const button = (text, what, act) => element("button", { type: "button", title: what, "aria-label": what, onclick: act }, text);
      section.append(sheet, element("div", { class: "molecule-controls" },
        this.check("atoms' numbers", choice.numbers, (on) => { choice.numbers = on; this.paper.numbered(on); }),
        this.data.walks.length ? this.check(`the ${this.data.walks.length} walks`, choice.walks, (on) => { choice.walks = on; this.walks(); }) : null,
        element("span", { class: "molecule-zoom" }, button("+", "Larger", () => this.paper.zoom(1 / 1.5)), button("−", "Smaller", () => this.paper.zoom(1.5)), button("whole", "The whole formula", () => this.paper.whole()))));
      section.append(element("div", { class: "molecule-scale" }, drawing.scale(this.limit, this.what(), this.context)));
      this.walks();
      return section;
    }
    check(text, on, act) {
      return element("label", { class: "molecule-check" }, element("input", { type: "checkbox", checked: on, onchange: (event) => act(event.target.checked) }), ` ${text}`);
    }
    keyed(event) {
      const n = this.data.elements.length, [at] = this.pinned.atoms;
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (by) this.pick([at === undefined ? 0 : (at + by + n) % n], "flat", true);
      else if (event.key === "Home" || event.key === "End") this.pick([event.key === "Home" ? 0 : n - 1], "flat", true);
      else if (event.key === "Escape") this.pick([], "flat", true);
      else if (event.key === "+" || event.key === "=") this.paper.zoom(1 / 1.5);
      else if (event.key === "-") this.paper.zoom(1.5);
      else if (event.key === "0") this.paper.whole();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }

    // ---- the shape

    async raise() {
      const { solid, no_solid: none } = this.data;
      const says = (text) => this.solid.replaceChildren(element("p", { class: "molecule-none" }, text));
      if (!solid) return says(none ?? "This molecule has no geometry.");
      const far = this.data.pairs.filter((pair) => Math.abs(pair[2]) >= 0.1 * this.limit).sort((a, b) => Math.abs(b[2]) - Math.abs(a[2])).slice(0, 24);
      const colours = { of: (value) => hex(this.context.colour(value / this.limit)), limit: this.limit, far };
      const point = { over: (atom) => this.over(atom === null ? null : [atom], "solid"), pick: (atom) => this.pick([atom], "solid") };
      says("loading …");
      try {
        this.stage = await stage.show(this.solid, this.data, colours, point, this.context.signal);
      } catch (error) {
        console.warn(error);
        return says("This browser cannot show WebGL graphics; the numbers stand in the table of atoms.");
      }
      if (!this.stage) return undefined;
      const turning = element("input", { type: "checkbox", onchange: (event) => this.stage.turning(event.target.checked) });
      this.stage.onturning = (on) => { turning.checked = on; };
      const letters = element("select", { onchange: (event) => this.stage.letters(event.target.value) },
        [["", "none"], ["elements", "elements"], ["numbers", "elements and numbers"]].map(([key, text]) => element("option", { value: key, selected: key === this.stage.lettered }, text)));
      this.solid.parentElement.append(element("div", { class: "molecule-controls" },
        element("label", { class: "molecule-check" }, turning, " turn"),
        this.check("colours of elements", choice.byElement, (on) => { choice.byElement = on; this.stage.byElement(on); }),
        solid.hydrogens.length ? this.check("added hydrogens", choice.hydrogens, (on) => { choice.hydrogens = on; this.stage.hydrogens(on); }) : null,
        element("label", { class: "molecule-check" }, "labels ", letters)),
      element("div", { class: "molecule-scale" }, this.context.colourBar(this.limit, this.quantity)),
      element("p", { class: "molecule-says" }, solid.made ? `The data have no geometry; this one was made to look at: ${solid.made}.${solid.hydrogens.length ? " Hydrogens that were added (small, grey) have no relevance." : ""}` : this.context.meta.geometry ?? "The geometry is the data's own."));
      if (choice.byElement) this.stage.byElement(true);
      if (!choice.hydrogens) this.stage.hydrogens(false);
      return undefined;
    }

    // ---- the tables

    list() {
      const { elements, relevance, bonds, pairs, stays, walks, fragments } = this.data;
      const number = (name) => ({ name, kind: "number", unit: this.unit }), text = (name) => ({ name, kind: "text" });
      const named = fragments.some(([name, smiles]) => name !== smiles);
      const atoms = elements.map((symbol, i) => [i, symbol, relevance[i], ...(stays ? [stays[i]] : [])]);
      this.table("Atoms", "atom", [{ name: "atom", kind: "number" }, text("element"), number("relevance"), ...(stays ? [{ name: "stays there", kind: "number" }] : [])], atoms, (i) => [i], (i) => relevance[i]);
      const passing = [...bonds.map(([i, j, kind, , value]) => [i, j, kind, value]), ...pairs.map(([i, j, value]) => [i, j, "no bond", value])];
      if (passing.length) this.table("Bonds", "bond", [text("from"), text("to"), text("kind"), number("relevance")], passing.map(([i, j, kind, value]) => [this.name(i), this.name(j), kind, value]), (k) => passing[k].slice(0, 2), (k) => passing[k][3]);
      if (walks.length) this.table("Walks", "walk", [text("walk"), number("relevance")], walks.map(([way, value]) => [way.map((i) => this.name(i)).join(" → "), value]), (k) => walks[k][0], (k) => walks[k][1]);
      if (fragments.length) this.table("Fragments", "fragment", [...(named ? [text("fragment")] : []), text("SMILES"), text("atoms"), number("relevance")], fragments.map(([name, smiles, of, value]) => [...(named ? [name] : []), smiles, of.join(" "), value]), (k) => fragments[k][2], (k) => fragments[k][3]);
    }
    table(title, key, columns, rows, atomsOf, valueOf) {
      const section = element("section", { class: `molecule-table of-${key}` }, element("h3", {}, title));
      this.rows.append(section);
      const shown = new Map();
      const one = { key, shown, atomsOf, rows: rows.length, section };
      one.table = sciexplain.table(section, {
        columns, rows, name: `${key}s`, label: title, page: 500,
        onrow: (k, row) => this.rowMade(one, k, row, valueOf(k)),
      });
      this.tables.push(one);
    }
    rowMade(one, k, row, value) {
      const { context, limit } = this;
      one.shown.set(k, row);
      row.tabIndex = -1;
      // one stop for the tab key: whichever row is first by now
      queueMicrotask(() => { const first = one.section.querySelector("tbody tr"); if (first) first.tabIndex = 0; });
      row.dataset.index = k;
      const colour = value === null || value === undefined ? "transparent" : drawing.ground(value, limit, context);
      row.firstElementChild.style.setProperty("border-left", `.5rem solid ${colour}`);
      row.addEventListener("pointerenter", () => this.over(one.atomsOf(k), one.key, k));
      row.addEventListener("pointerleave", () => this.over(null, one.key));
      row.addEventListener("click", () => this.pick(one.atomsOf(k), one.key, false, k));
      row.addEventListener("focus", () => this.over(one.atomsOf(k), one.key, k));
      row.addEventListener("blur", () => this.over(null, one.key));
      row.addEventListener("keydown", (event) => {
        const to = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
        if (to) to.focus();
        else if (event.key === "Enter" || event.key === " ") this.pick(one.atomsOf(k), one.key, false, k);
        else if (event.key === "Escape") this.pick([], one.key, true);
        else if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
        event.preventDefault();
        event.stopPropagation();
      });
    }

    // ---- pointing: atoms here are atoms everywhere

    over(atoms, from, row = null) {
      this.pointed = atoms === null ? null : { atoms, from, row };
      this.point();
    }
    pick(atoms, from, keep = false, row = null) {
      const same = !keep && this.pinned.from === from && String(this.pinned.atoms) === String(atoms) && this.pinned.row === row;
      this.pinned = same ? { atoms: [] } : { atoms, from, row };
      this.point();
    }
    walks() { this.paper?.walks(choice.walks ? this.data.walks : []); }
    point() {
      const { atoms, from, row } = this.pointed ?? this.pinned;
      const distinct = [...new Set(atoms)];
      this.paper?.highlight(distinct);
      this.stage?.highlight(distinct);
      if (from === "walk" && row !== null && row !== undefined) this.paper?.walks([this.data.walks[row]]);
      else this.walks();
      for (const one of this.tables) {
        const own = one.key === from && row !== null && row !== undefined;
        for (const [k, made] of one.shown) {
          made.classList.toggle("picked", own ? k === row : one.key === "atom" && distinct.includes(k));
        }
        if (one.key === "atom" && from !== "atom" && distinct.length) reveal(one.shown.get(distinct[0]));
      }
      this.tell(distinct, from, row);
    }
    tell(atoms, from, row) {
      if (!atoms.length) {
        this.read.textContent = "Point at an atom, or at a row of a table; a click keeps it.";
        return;
      }
      const one = this.tables.find((table) => table.key === from);
      const strong = (value) => element("data", { class: "molecule-value", value }, this.value(value));
      if (one && from !== "atom" && row !== null) {
        const made = { bond: () => [...this.data.bonds.map((b) => b[4]), ...this.data.pairs.map((p) => p[2])][row], walk: () => this.data.walks[row][1], fragment: () => this.data.fragments[row][3] }[from]();
        this.read.replaceChildren(`${atoms.map((i) => this.name(i)).join(from === "walk" ? " → " : " ")}: `, made === null ? "no relevance" : strong(made));
      } else this.read.replaceChildren(`${this.data.elements[atoms[0]]}, atom ${atoms[0]}: `, strong(this.data.relevance[atoms[0]]));
    }
  }

  // Within its table alone: the page stays where it is.
  function reveal(row) {
    const scroller = row?.closest(".table-scroll");
    if (!scroller || !row.isConnected) return;
    const head = scroller.querySelector("thead")?.offsetHeight ?? 0;
    const above = row.offsetTop - head, below = row.offsetTop + row.offsetHeight - scroller.clientHeight;
    if (scroller.scrollTop > above) scroller.scrollTop = above;
    else if (scroller.scrollTop < below) scroller.scrollTop = below;
  }
  // 3Dmol.js reads hexadecimal colours.
  const hex = (rgb) => `#${rgb.match(/\d+/g).map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`;

  const draw = (place, data, context) => new View(place, data, context).build();

  function thumbnail(place, data, context = sciexplain.context()) {
    if (!data.formula) return;
    place.append(drawing.make(data, context, { small: true, label: "structural formula, atoms coloured by relevance" }).element);
  }

  sciexplain.views.molecule = { draw, thumbnail };
})();
