// Pictures of recorded clips, and drawings of the tool's path: what the label and review pages share.
window.clips = (() => {
  const KEPT_CLIPS = 12, KEPT_PICTURES = 600;
  const clipCache = new Map(), pictureCache = new Map();

  function kept(cache, limit, key, make) {
    if (cache.has(key)) {
      const known = cache.get(key);
      cache.delete(key);
      cache.set(key, known);
      return known;
    }
    const made = make();
    cache.set(key, made);
    made.catch(() => cache.delete(key));
    while (cache.size > limit) cache.delete(cache.keys().next().value);
    return made;
  }

  async function unpack(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(await reason(answer));
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const view = new DataView(bytes.buffer);
    const pictures = [];
    for (let at = 0; at < bytes.length;) {
      const length = view.getUint32(at, true);
      pictures.push(createImageBitmap(new Blob([bytes.subarray(at + 4, at + 4 + length)], {type: 'image/jpeg'})));
      at += 4 + length;
    }
    return Promise.all(pictures);
  }

  async function reason(answer) {
    try { return (await answer.json()).detail; } catch { return `the server answered ${answer.status}`; }
  }

  const camera = name => encodeURIComponent(name);

  function clip(episode, name, start, length) {
    const address = `/clips/${episode}/${camera(name)}/${start}-${length}.clip`;
    return kept(clipCache, KEPT_CLIPS, address, () => unpack(address));
  }

  function picture(episode, name, step) {
    const address = `/clips/${episode}/${camera(name)}/${step}.jpg`;
    return kept(pictureCache, KEPT_PICTURES, address, async () => {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(await reason(answer));
      return createImageBitmap(await answer.blob());
    });
  }

  function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim() || '#888'; }

  // Make the canvas as many pixels as it has on the screen; returns its context, in CSS pixels.
  function fit(canvas) {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio), height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
    return context;
  }

  function drawPicture(canvas, bitmap) {
    const context = fit(canvas);
    const scale = Math.min(canvas.clientWidth / bitmap.width, canvas.clientHeight / bitmap.height);
    const width = bitmap.width * scale, height = bitmap.height * scale;
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, (canvas.clientWidth - width) / 2, (canvas.clientHeight - height) / 2, width, height);
  }

  // Smallest box around paths, with a margin. Paths are rows of x, y, z, gripper.
  function bounds(...paths) {
    const low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    for (const path of paths) for (const row of path) for (let i = 0; i < 3; i++) {
      low[i] = Math.min(low[i], row[i]);
      high[i] = Math.max(high[i], row[i]);
    }
    return {low: low.map(v => v - 0.01), high: high.map(v => v + 0.01)};
  }

  // One view of the path: axes are [across, up], each as [index of the coordinate, sign].
  function drawView(context, box, title, path, step, limits, axes) {
    const spans = axes.map(([i]) => limits.high[i] - limits.low[i]);
    const scale = Math.min((box.width - 24) / spans[0], (box.height - 44) / spans[1]);
    const middle = axes.map(([i]) => (limits.high[i] + limits.low[i]) / 2);
    const place = row => [
      box.x + box.width / 2 + axes[0][1] * (row[axes[0][0]] - middle[0]) * scale,
      box.y + 10 + box.height / 2 - axes[1][1] * (row[axes[1][0]] - middle[1]) * scale,
    ];
    context.fillStyle = colour('--dim');
    context.font = '12px Roboto, system-ui, sans-serif';
    context.textAlign = 'left';
    context.fillText(title, box.x + 8, box.y + 18);
    const bar = [0.5, 0.2, 0.1, 0.05, 0.02, 0.01].find(length => length * scale < box.width / 3) || 0.01;
    context.fillRect(box.x + box.width - 10 - bar * scale, box.y + 15, bar * scale, 2);
    context.textAlign = 'right';
    context.fillText(`${Math.round(bar * 100)} cm`, box.x + box.width - 16 - bar * scale, box.y + 19);
    const line = (from, to, look, width) => {
      if (to <= from) return;
      context.beginPath();
      context.strokeStyle = look;
      context.lineWidth = width;
      for (let i = from; i <= to; i++) context[i === from ? 'moveTo' : 'lineTo'](...place(path[i]));
      context.stroke();
    };
    context.lineJoin = 'round';
    context.globalAlpha = 0.5;
    line(0, path.length - 1, colour('--dim'), 2);
    context.globalAlpha = 1;
    line(0, step, colour('--accent'), 3);
    const [x, y] = place(path[step]);
    context.beginPath();
    context.arc(x, y, 7, 0, 2 * Math.PI);
    context.lineWidth = 3;
    context.strokeStyle = colour('--warn');
    context.fillStyle = colour('--warn');
    if (path[step][3] < 0.5) context.fill();
    context.stroke();
  }

  function drawPath(canvas, path, step, limits) {
    const context = fit(canvas);
    const width = canvas.clientWidth, height = canvas.clientHeight;
    const at = Math.min(step, path.length - 1);
    const wide = width > height;
    const size = wide ? {width: width / 2, height} : {width, height: height / 2};
    const second = wide ? {x: width / 2, y: 0} : {x: 0, y: height / 2};
    drawView(context, {x: 0, y: 0, ...size}, 'From above', path, at, limits, [[1, -1], [0, 1]]);
    drawView(context, {...second, ...size}, 'From the side', path, at, limits, [[0, 1], [2, 1]]);
  }

  // An element with classes, attributes and children; text is always text.
  function make(tag, classes = '', attributes = {}, ...children) {
    const element = document.createElement(tag);
    if (classes) element.className = classes;
    for (const [name, value] of Object.entries(attributes)) {
      if (name === 'onclick' || name === 'onchange' || name === 'oninput') element[name] = value;
      else element.setAttribute(name, value);
    }
    for (const child of children) element.append(child);
    return element;
  }

  // A button that keeps no focus, with the names of its keys.
  function button(words, classes, action, ...keys) {
    const made = make('button', `c-button ${classes}`, {type: 'button', onclick: () => { made.blur(); action(); }}, words);
    for (const key of keys) made.append(make('kbd', '', {}, key));
    return made;
  }

  function option(select, value, text) {
    const entry = make('option', '', {value: String(value)}, text);
    select.append(entry);
  }

  function typing(event) {
    const target = event.target;
    return target instanceof HTMLElement && (target.closest('input, textarea, select') || target.isContentEditable);
  }

  // To the server, once the page is connected; false while it is not.
  function tell(name, message) {
    if (!window.did_handshake || !window.socket || !window.socket.connected || !window.emitEvent) return false;
    window.emitEvent(name, message);
    return true;
  }

  return {clip, picture, colour, fit, drawPicture, drawPath, bounds, make, button, option, typing, tell};
})();
