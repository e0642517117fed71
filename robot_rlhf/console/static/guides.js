// Marks over the pictures: where the fingers would close, what is straight below, which key moves where. They are drawn
// on a canvas of their own; the picture below stays as the camera took it. What to draw comes with each situation.
(() => {
  const GRASP = '#ff00ff', GHOST = '#b388ff', HELD = '#00ff66', PLUMB = '#ffffff', FOOT = '#00e5ff', ARROW = '#ffd60a', DARK = '#000000b0', CAP = '#10151cd9';
  const WORDS = {KeyW: 'forward', KeyS: 'back', KeyA: 'left', KeyD: 'right', KeyE: 'up', KeyQ: 'down', KeyJ: 'turn', KeyL: 'turn'};
  const FEELS = {touching: 'touching', holding: 'holding'};
  let ghost = [], began = 0, on = true, keys = true, words = false, held = [], newest = {}, feels = '';

  // The canvas over a picture: as large as it is shown, in the screen's own pixels.
  function layer(picture) {
    let canvas = picture.parentElement.querySelector('canvas[data-guides]');
    if (!canvas) {
      canvas = document.createElement('canvas');
      canvas.dataset.guides = picture.dataset.camera;
      canvas.setAttribute('aria-hidden', 'true');
      picture.after(canvas);
    }
    const scale = devicePixelRatio || 1;
    const width = Math.round(picture.clientWidth * scale), height = Math.round(picture.clientHeight * scale);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    return canvas;
  }

  function pen(canvas, picture) {
    const g = canvas.getContext('2d'), dots = devicePixelRatio || 1;
    const scale = Math.min(canvas.width / picture.width, canvas.height / picture.height);
    const w = picture.width * scale, h = picture.height * scale, x = (canvas.width - w) / 2, y = (canvas.height - h) / 2;
    const at = (p) => [x + p[0] * w, y + p[1] * h];
    const size = dots * Math.max(1, Math.min(1.5, w / dots / 420)); // lines are thicker in a large picture
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.clearRect(0, 0, canvas.width, canvas.height);
    g.lineCap = g.lineJoin = 'round';
    const line = (points, colour, width, dash = []) => {
      if (points.some((p) => !p)) return;
      for (const [style, extra, pattern] of [[DARK, 2.5, []], [colour, 0, dash]]) {
        g.beginPath();
        points.forEach((p, i) => g[i ? 'lineTo' : 'moveTo'](...at(p)));
        g.strokeStyle = style; g.lineWidth = (width + extra) * size; g.setLineDash(pattern.map((v) => v * size));
        g.stroke();
      }
      g.setLineDash([]);
    };
    const dot = (p, colour, radius) => {
      if (!p) return;
      for (const [style, extra] of [[DARK, 1.5], [colour, 0]]) {
        g.beginPath(); g.arc(...at(p), (radius + extra) * size, 0, 7); g.fillStyle = style; g.fill();
      }
    };
    const cap = ([u, v], text, lit) => {
      g.font = `700 ${12 * size}px Roboto, system-ui, sans-serif`;
      const tall = 17 * size, wide = Math.max(tall, g.measureText(text).width + 9 * size);
      const left = Math.max(0, Math.min(canvas.width - wide, u - wide / 2)), top = Math.max(0, Math.min(canvas.height - tall, v - tall / 2));
      g.beginPath(); g.roundRect(left, top, wide, tall, 4 * size);
      g.fillStyle = lit ? ARROW : CAP; g.fill();
      g.lineWidth = size; g.strokeStyle = ARROW; g.stroke();
      g.fillStyle = lit ? '#1a1300' : '#ffffff'; g.textAlign = 'center'; g.textBaseline = 'middle';
      g.fillText(text, left + wide / 2, top + tall / 2 + size * .5);
    };
    return {at, size, line, dot, cap};
  }

  function arrow({at, size, line, cap}, {code, line: points}) {
    if (points.some((p) => !p)) return;
    const lit = held.includes(code), end = points.at(-1), before = points.at(-2);
    const [x, y] = at(end), [a, b] = at(before), far = Math.hypot(x - a, y - b) || 1, ux = (x - a) / far, uy = (y - b) / far;
    line(points, lit ? '#ffffff' : ARROW, lit ? 4 : 2.5);
    const back = (u, v) => [end[0] + u / (at([1, 0])[0] - at([0, 0])[0]), end[1] + v / (at([0, 1])[1] - at([0, 0])[1])];
    const tip = 7 * size;
    line([back(-tip * (ux + 0.6 * uy), -tip * (uy - 0.6 * ux)), end, back(-tip * (ux - 0.6 * uy), -tip * (uy + 0.6 * ux))], lit ? '#ffffff' : ARROW, lit ? 4 : 2.5);
    cap([x + ux * 14 * size, y + uy * 14 * size], words ? WORDS[code] : code.slice(-1), lit);
  }

  // Another way through this episode, played over the pictures: nothing moves but the drawing.
  const GHOST_PERIOD = 100, GHOST_REST = 1500;
  function phantom({line, dot, cap, at, size}, name) {
    const way = ghost.map((moment) => moment[name]).filter((m) => m && m.tip), last = way.length - 1;
    if (last < 1) return;
    const now = way[Math.min(last, Math.floor((performance.now() - began) / GHOST_PERIOD))], [a, b, c, d] = now.fingers;
    line(way.map((m) => m.tip), GHOST, 1.5, [2, 5]);
    if (now.foot) line([now.tip, now.foot], GHOST, 1);
    if (a && b && c && d) { line([a, b], GHOST, 4.5); line([c, d], GHOST, 4.5); }
    dot(now.tip, GHOST, 4);
    const [u, v] = at(now.tip);
    cap([u + 48 * size, v], 'like this', false);
  }
  function play(moments) {
    ghost = moments; began = performance.now();
    const end = began + GHOST_PERIOD * moments.length + GHOST_REST;
    const next = () => {
      if (ghost !== moments) return;
      if (performance.now() > end) ghost = [];
      paint();
      if (ghost.length) requestAnimationFrame(next);
    };
    next();
  }

  function draw(picture, marks) {
    const canvas = layer(picture), p = pen(canvas, picture);
    if (ghost.length) phantom(p, picture.dataset.camera);
    if (!on || !marks) return;
    const {at, size, line, dot, cap} = p, [a, b, c, d] = marks.fingers, colour = feels === 'holding' ? HELD : GRASP;
    if (marks.print.length && marks.print.every(Boolean)) {
      line([...marks.print, marks.print[0]], PLUMB, 1.5);
      line(marks.print.slice(0, 2), PLUMB, 3.5); line(marks.print.slice(2), PLUMB, 3.5);
    }
    if (marks.foot) { line([marks.tip, marks.foot], PLUMB, 1.5, [5, 5]); dot(marks.foot, FOOT, 4); }
    if (keys && !ghost.length) for (const each of marks.arrows) arrow(p, each);
    if (a && b && c && d) {
      const middle = (q, r) => [(q[0] + r[0]) / 2, (q[1] + r[1]) / 2];
      line([middle(a, b), middle(c, d)], colour, 1.5);
      line([a, b], colour, 4.5); line([c, d], colour, 4.5);
    }
    dot(marks.tip, colour, 3.5);
    if (FEELS[feels] && marks.tip) { const [u, v] = at(marks.tip); cap([u - 62 * size, v], FEELS[feels], feels === 'holding'); }
  }

  function paint() {
    for (const picture of document.querySelectorAll('canvas[data-camera]')) draw(picture, newest[picture.dataset.camera]);
  }

  window.console_guides = {
    plays: () => ghost.length > 0,
    play, // moments: what `show` takes, one after the other
    show: (guides, feeling) => { newest = guides || {}; feels = feeling || ''; paint(); },
    set: (options) => { // {on, keys: whether the keys do something, words: instead of key names, held: codes of keys}
      const before = JSON.stringify([on, keys, words, held]);
      ({on = on, keys = keys, words = words, held = held} = options);
      if (JSON.stringify([on, keys, words, held]) !== before) paint();
    },
  };
  addEventListener('resize', paint);
})();
