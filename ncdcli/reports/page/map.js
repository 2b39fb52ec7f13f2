// The map: points on a canvas, a legend that filters, and the sample under the pointer.
(() => {
  const data = dataOf("map-data");
  const canvas = byId("canvas");
  if (!data || !canvas) return;
  const pen = canvas.getContext("2d");
  const RANGE = 4095;
  const CELL = 24; // pixels of a cell of the grid that finds the point under the pointer
  const count = data.keys.length;
  const clusters = data.groups[0];
  const roles = data.groups.find((group) => group.name === "role");
  const state = { map: 0, group: 0, hidden: data.groups.map(() => new Set()), find: "", scale: 1, x: 0, y: 0 };
  let chosen = -1; // point that is kept
  let order = []; // points of the map that are shown
  let places = new Float32Array(2 * count); // their pixels
  let grid = new Map();
  let size = { width: 1, height: 1 };
  let waiting = false;

  const map = () => data.maps[state.map];
  const group = () => data.groups[state.group];
  const pointsOf = (one) => one.at || Array.from({ length: count }, (_, i) => i);

  function select() {
    const { of } = group();
    const hidden = state.hidden[state.group];
    const layout = map();
    const points = pointsOf(layout);
    order = [];
    places = new Float32Array(2 * count);
    let matches = 0;
    for (let i = 0; i < points.length; i++) {
      const point = points[i];
      places[2 * point] = layout.x[i];
      places[2 * point + 1] = layout.y[i];
      if (!hidden.has(of[point])) {
        order.push(point);
        if (state.find && data.keys[point].toLowerCase().includes(state.find)) matches += 1;
      }
    }
    const found = state.find ? `, ${matches.toLocaleString("en")} found` : "";
    byId("shown").textContent = `${order.length.toLocaleString("en")} shown${found}`;
    byId("note").textContent = layout.note;
    draw();
  }

  const onScreen = (point) => {
    const side = Math.min(size.width, size.height) - 28;
    const x = size.width / 2 + ((places[2 * point] / RANGE - 0.5) * side + state.x) * state.scale;
    const y = size.height / 2 + ((places[2 * point + 1] / RANGE - 0.5) * side + state.y) * state.scale;
    return [x, y];
  };

  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      paint();
    });
  }

  function paint() {
    const ratio = devicePixelRatio || 1;
    const box = canvas.parentElement.getBoundingClientRect();
    size = { width: box.width, height: box.height };
    if (canvas.width !== Math.round(box.width * ratio) || canvas.height !== Math.round(box.height * ratio)) {
      canvas.width = Math.round(box.width * ratio);
      canvas.height = Math.round(box.height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size.width, size.height);
    const style = getComputedStyle(root);
    const [saturation, light] = [style.getPropertyValue("--s"), style.getPropertyValue("--l")];
    const grey = style.getPropertyValue("--soft");
    const ink = style.getPropertyValue("--ink");
    const { of, labels } = group();
    const radius = Math.min(7, Math.max(1.7, (order.length > 6000 ? 1.8 : order.length > 1500 ? 2.5 : 3.6) * Math.sqrt(state.scale)));
    grid = new Map();
    pen.globalAlpha = order.length > 6000 ? 0.7 : 0.85;
    const byLabel = new Map();
    for (const point of order) {
      const [x, y] = onScreen(point);
      if (x < -9 || y < -9 || x > size.width + 9 || y > size.height + 9) continue;
      const cell = `${Math.floor(x / CELL)},${Math.floor(y / CELL)}`;
      if (!grid.has(cell)) grid.set(cell, []);
      grid.get(cell).push([point, x, y]);
      if (!byLabel.has(of[point])) byLabel.set(of[point], []);
      byLabel.get(of[point]).push([point, x, y]);
    }
    const rings = [];
    for (const [label, points] of byLabel) {
      const { hue } = labels[label];
      pen.fillStyle = hue === null ? grey : `hsl(${hue} ${saturation} ${light})`;
      pen.beginPath();
      for (const [point, x, y] of points) {
        const faded = state.find && !data.keys[point].toLowerCase().includes(state.find);
        const reach = faded ? radius * 0.45 : radius;
        if (clusters.labels[clusters.of[point]].novel) {
          pen.moveTo(x, y - reach * 1.25);
          pen.lineTo(x + reach * 1.25, y);
          pen.lineTo(x, y + reach * 1.25);
          pen.lineTo(x - reach * 1.25, y);
          pen.closePath();
        } else {
          pen.moveTo(x + reach, y);
          pen.arc(x, y, reach, 0, 7);
        }
        if (roles.of[point] === 0 && radius > 2) rings.push([x, y]);
      }
      pen.fill();
    }
    if (rings.length) {
      pen.globalAlpha = 0.55;
      pen.strokeStyle = ink;
      pen.lineWidth = 0.8;
      pen.beginPath();
      for (const [x, y] of rings) {
        pen.moveTo(x + radius + 1, y);
        pen.arc(x, y, radius + 1, 0, 7);
      }
      pen.stroke();
    }
    pen.globalAlpha = 1;
    if (chosen >= 0 && order.includes(chosen)) {
      const [x, y] = onScreen(chosen);
      pen.strokeStyle = ink;
      pen.lineWidth = 2.2;
      pen.beginPath();
      pen.arc(x, y, radius + 5, 0, 7);
      pen.stroke();
    }
  }

  function nearest(x, y, most = 14) {
    let best = -1;
    let least = most * most;
    const [column, row] = [Math.floor(x / CELL), Math.floor(y / CELL)];
    for (let i = -1; i <= 1; i++)
      for (let j = -1; j <= 1; j++)
        for (const [point, px, py] of grid.get(`${column + i},${row + j}`) || []) {
          const gap = (px - x) ** 2 + (py - y) ** 2;
          if (gap < least) [least, best] = [gap, point];
        }
    return best;
  }

  function describe(point) {
    const parts = [];
    const { images, rows } = data;
    if (images && images.of[point] >= 0) {
      const sheet = Math.floor(images.of[point] / images.sheet);
      const position = images.of[point] % images.sheet;
      const image = picture(`s${sheet}`, position % images.across, Math.floor(position / images.across), shownSide(images.sides[sheet]));
      if (images.sides[sheet] <= 32) image.style.imageRendering = "pixelated";
      parts.push(image);
    }
    parts.push(make("b")); // with the key isolated from the text around it: it may run from right to left
    parts[parts.length - 1].append(make("bdi", data.keys[point]));
    const table = make("table");
    const line = (name, value) => {
      const row = table.insertRow();
      row.insertCell().append(make("bdi", name));
      row.insertCell().append(make("bdi", value));
    };
    for (const one of data.groups)
      if (one.name !== "margin" && one.name !== "known or novel") line(one.name, one.labels[one.of[point]].text);
    line("margin", (data.margins[point] / 100).toFixed(2));
    if (rows) rows.columns.forEach((name, i) => line(name, rows.cells[i][point]));
    parts.push(table);
    return parts;
  }

  function showPoint(point) {
    const [x, y] = onScreen(point);
    const box = canvas.getBoundingClientRect();
    showTip(box.left + x, box.top + y, describe(point));
  }

  function choose(point) {
    chosen = point;
    draw();
    if (point >= 0) showPoint(point);
    else hideTip();
  }

  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, y: event.clientY, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    if (held) {
      const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
      if (Math.abs(dx) + Math.abs(dy) > 3 || held.moved) {
        state.x += dx / state.scale;
        state.y += dy / state.scale;
        Object.assign(held, { x: event.clientX, y: event.clientY, moved: true });
        hideTip();
        draw();
      }
      return;
    }
    const point = nearest(event.clientX - box.left, event.clientY - box.top);
    if (point >= 0) showTip(event.clientX, event.clientY, describe(point));
    else if (chosen >= 0) showPoint(chosen);
    else hideTip();
  });
  canvas.addEventListener("pointerup", (event) => {
    const box = canvas.getBoundingClientRect();
    if (held && !held.moved) choose(nearest(event.clientX - box.left, event.clientY - box.top));
    held = null;
  });
  canvas.addEventListener("pointerleave", () => chosen < 0 && hideTip());
  addEventListener("scroll", hideTip, { passive: true });

  function zoom(factor, x = size.width / 2, y = size.height / 2) {
    const scale = Math.min(60, Math.max(0.6, state.scale * factor));
    state.x += (x - size.width / 2) * (1 / scale - 1 / state.scale);
    state.y += (y - size.height / 2) * (1 / scale - 1 / state.scale);
    state.scale = scale;
    hideTip();
    draw();
  }
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && document.activeElement !== canvas) return; // scrolling past must not zoom
      event.preventDefault();
      const box = canvas.getBoundingClientRect();
      zoom(Math.exp(-event.deltaY * 0.0016), event.clientX - box.left, event.clientY - box.top);
    },
    { passive: false },
  );
  const whole = () => {
    Object.assign(state, { scale: 1, x: 0, y: 0 });
    draw();
  };
  byId("in").addEventListener("click", () => zoom(1.4));
  byId("out").addEventListener("click", () => zoom(1 / 1.4));
  byId("whole").addEventListener("click", whole);

  // From the kept point to the nearest one in a direction, so that the map can be read without a pointer.
  function step(dx, dy) {
    if (!order.length) return;
    const from = chosen >= 0 ? onScreen(chosen) : [size.width / 2, size.height / 2];
    let best = -1;
    let least = Infinity;
    for (const point of order) {
      const [x, y] = onScreen(point);
      const along = (x - from[0]) * dx + (y - from[1]) * dy;
      const aside = Math.abs((x - from[0]) * dy - (y - from[1]) * dx);
      if (point === chosen || along <= 0.01) continue;
      const cost = along + 3 * aside;
      if (cost < least) [least, best] = [cost, point];
    }
    if (best >= 0) choose(best);
  }
  canvas.addEventListener("keydown", (event) => {
    const keys = {
      ArrowLeft: () => step(-1, 0),
      ArrowRight: () => step(1, 0),
      ArrowUp: () => step(0, -1),
      ArrowDown: () => step(0, 1),
      "+": () => zoom(1.4),
      "=": () => zoom(1.4),
      "-": () => zoom(1 / 1.4),
      0: whole,
      Escape: () => choose(-1),
      Enter: () => chosen >= 0 && (location.hash = `c${clusters.labels[clusters.of[chosen]].card}`),
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  function fillLegend() {
    const hidden = state.hidden[state.group];
    const items = group().labels.map((label, number) => {
      if (!label.count) return null;
      const button = make("button");
      button.type = "button";
      button.dataset.label = number;
      const dot = make("i", undefined, `dot${label.hue === null ? " none" : ""}${label.novel ? " novel" : ""}`);
      if (label.hue !== null) dot.style.setProperty("--h", label.hue);
      const name = make("span");
      name.append(make("bdi", label.text));
      button.title = label.text;
      button.append(dot, name, make("small", label.count.toLocaleString("en")));
      button.setAttribute("aria-pressed", String(!hidden.has(number)));
      const item = make("li");
      item.append(button);
      return item;
    });
    byId("legend").replaceChildren(...items.filter(Boolean));
  }
  const refreshLegend = () => {
    const hidden = state.hidden[state.group];
    for (const button of byId("legend").querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(!hidden.has(Number(button.dataset.label))));
    select();
  };
  const setShown = (isShown) => {
    const hidden = new Set();
    group().labels.forEach((_, number) => isShown(number) || hidden.add(number));
    state.hidden[state.group] = hidden;
    refreshLegend();
  };
  byId("legend").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const label = Number(button.dataset.label);
    const hidden = state.hidden[state.group];
    if (event.shiftKey) return setShown((number) => number === label);
    if (!hidden.delete(label)) hidden.add(label);
    refreshLegend();
  });
  byId("all").addEventListener("click", () => setShown(() => true));
  byId("none").addEventListener("click", () => setShown(() => false));

  data.maps.forEach((one, number) => {
    const button = make("button", one.name);
    button.type = "button";
    button.setAttribute("aria-pressed", String(number === 0));
    button.addEventListener("click", () => {
      state.map = number;
      for (const other of byId("layouts").children) other.setAttribute("aria-pressed", String(other === button));
      choose(-1);
      whole();
      select();
    });
    byId("layouts").append(button);
  });
  data.groups.forEach((one, number) => byId("colour").append(new Option(one.name, number)));
  byId("colour").addEventListener("change", (event) => {
    state.group = Number(event.target.value);
    fillLegend();
    select();
  });
  byId("find").addEventListener("input", (event) => {
    state.find = event.target.value.trim().toLowerCase();
    select();
  });
  for (const button of document.querySelectorAll("[data-locate]"))
    button.addEventListener("click", () => {
      const label = clusters.labels.findIndex((one) => one.card === Number(button.dataset.locate));
      state.group = 0;
      byId("colour").value = "0";
      fillLegend();
      setShown((number) => number === label);
      byId("map").scrollIntoView();
      canvas.focus({ preventScroll: true });
    });

  addEventListener("themechange", draw);
  new ResizeObserver(draw).observe(canvas.parentElement);
  fillLegend();
  select();
})();
