// Two clips side by side, playing together: which of the two is better?
(() => {
  const {clip, drawPicture, drawPath, bounds, make, option, typing, tell} = window.clips;
  const SIDES = ['left', 'right'];
  const HOLD = 0.6; // seconds that the last picture stays before the clips begin again
  const ANSWER_WITHIN = 4000; // ms after which an answer that the server did not confirm may be given again
  const LOOK_AGAIN = 2000; // ms until it is asked again, where there was nothing left to compare
  const PATH = 'tool path';
  const NAMES = {uniform: 'At random', k_centre: 'Most different (k-centre)'};
  const ANSWERS = [
    ['left', 'Left is better', ['←', '1'], ['ArrowLeft', '1']],
    ['equal', 'Equal', ['↓', '0'], ['ArrowDown', '0', '=']],
    ['right', 'Right is better', ['→', '2'], ['ArrowRight', '2']],
    ['skip', 'Skip', ['Space', 'S'], [' ', 's', 'S']],
    ['undo', 'Undo last', ['⌫', 'U'], ['Backspace', 'u', 'U']],
  ];
  let shown = null, view = '', frames = {left: null, right: null}, limits = null, began = 0, painted = -1, waiting = 0;
  const at = {};

  function build(root) {
    at.title = make('h1', 'label-title', {}, 'Which is better?');
    at.instruction = make('div', 'label-instruction c-line');
    at.count = make('b', '', {}, '0');
    at.strategy = make('select', 'label-select', {'aria-label': 'How pairs are chosen', onchange: choose});
    at.length = make('select', 'label-select', {'aria-label': 'Length of clips', onchange: choose});
    at.view = make('select', 'label-select', {'aria-label': 'Camera', onchange: () => look(at.view.value)});
    root.append(
      make('div', 'label-top', {},
        make('div', 'c-grow', {}, at.title, at.instruction),
        make('label', 'label-field', {}, make('span', 'c-caption', {}, 'Pairs'), at.strategy),
        make('label', 'label-field', {}, make('span', 'c-caption', {}, 'Clips'), at.length),
        make('label', 'label-field', {}, make('span', 'c-caption', {}, 'View'), at.view),
        make('div', 'label-field label-count', {}, make('span', 'c-caption', {}, 'Labels'), at.count)));
    const clips = make('div', 'label-clips');
    for (const side of SIDES) {
      const canvas = make('canvas', 'label-canvas');
      const note = make('div', 'label-note');
      const caption = make('div', 'label-caption', {}, make('b', '', {}, side === 'left' ? 'Left' : 'Right'));
      const facts = make('span', 'c-dim c-line');
      caption.append(facts);
      const panel = make('div', 'label-clip c-panel', {'data-side': side, onclick: () => act(side)}, canvas, note, caption);
      at[side] = {canvas, note, facts, panel};
      clips.append(panel);
    }
    at.progress = make('div', 'label-progress');
    at.nothing = make('div', 'label-nothing c-panel', {}, 'Looking for clips to compare');
    root.append(make('div', 'label-bar', {}, at.progress), clips, at.nothing);
    const answers = make('div', 'label-answers');
    for (const [name, words, keys] of ANSWERS) {
      const button = make('button', `c-button label-${name}`, {type: 'button', 'data-answer': name, onclick: () => act(name)}, words);
      for (const key of keys) button.append(make('kbd', '', {}, key));
      answers.append(button);
    }
    root.append(answers);
    for (const button of answers.children) button.disabled = true; // until there is a question
    document.querySelector('.label-clips').hidden = true;
    document.addEventListener('keydown', key);
    requestAnimationFrame(paint);
    greet();
  }

  function greet() {
    if (shown) return;
    tell('label_do', {do: 'ready'});
    setTimeout(greet, 400);
  }

  function key(event) {
    if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || typing(event)) return;
    const answer = ANSWERS.find(([, , , keys]) => keys.includes(event.key));
    if (!answer) return;
    event.preventDefault();
    act(answer[0]);
  }

  function act(name) {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    if (waiting > performance.now()) return;
    const message = name === 'undo' ? {do: 'undo'} : {do: 'answer', answer: name};
    if (name !== 'undo') {
      if (!shown || !shown.now) return;
      message.number = shown.now.number;
    }
    if (!tell('label_do', message)) return;
    waiting = performance.now() + ANSWER_WITHIN;
    for (const side of SIDES) at[side].panel.classList.toggle('label-chosen', side === name || name === 'equal');
  }

  function choose() {
    tell('label_do', {do: 'choose', strategy: at.strategy.value, length: Number(at.length.value)});
    at.strategy.blur();
    at.length.blur();
  }

  function look(name) {
    view = name;
    at.view.blur();
    load();
  }

  function fill(select, values, value, text) {
    const wanted = values.map(String).join('|');
    if (select.dataset.values !== wanted) {
      select.replaceChildren();
      for (const entry of values) option(select, entry, text(entry));
      select.dataset.values = wanted;
    }
    select.value = String(value);
  }

  function show(message) {
    const before = shown && shown.now ? shown.now.number : null;
    shown = message;
    waiting = 0;
    for (const side of SIDES) at[side].panel.classList.remove('label-chosen');
    const views = [...message.cameras, PATH];
    if (!views.includes(view)) view = views[0];
    fill(at.view, views, view, name => name);
    fill(at.strategy, message.strategies, message.strategy, name => NAMES[name] || name);
    const period = message.period;
    fill(at.length, message.lengths, message.length, steps => `${(steps * period).toFixed(1)} s (${steps} steps)`);
    at.count.textContent = String(message.labels);
    at.nothing.hidden = Boolean(message.now);
    document.querySelector('.label-clips').hidden = !message.now;
    for (const button of document.querySelectorAll('[data-answer]')) {
      button.disabled = button.dataset.answer === 'undo' ? !message.answered : !message.now;
    }
    if (!message.now) {
      clearTimeout(show.later);
      show.later = setTimeout(() => { if (!shown.now) tell('label_do', {do: 'ready'}); }, LOOK_AGAIN);
      at.nothing.textContent = message.problem || 'No more pairs of this length. New episodes are asked about as they come; shorter clips give more pairs.';
      at.instruction.textContent = '';
      return;
    }
    const {left, right} = message.now;
    const same = left.instruction === right.instruction;
    at.instruction.textContent = same ? left.instruction : '';
    for (const side of SIDES) {
      const one = message.now[side];
      const span = `${one.id} · steps ${one.start} to ${one.start + one.length}`;
      at[side].facts.textContent = same ? span : `${one.instruction} · ${span}`;
    }
    if (before !== message.now.number) load();
    prefetch();
  }

  function prefetch() {
    if (view === PATH || !shown.next) return;
    for (const side of SIDES) {
      const one = shown.next[side];
      clip(one.episode, view, one.start, one.length).catch(() => {});
    }
  }

  async function load() {
    if (!shown || !shown.now) return;
    const {number, left, right} = shown.now, chosen = view;
    limits = bounds(left.path, right.path);
    frames = {left: null, right: null};
    painted = -1;
    began = 0;
    if (chosen === PATH) { began = performance.now(); return; }
    await Promise.all(SIDES.map(async side => {
      const one = shown.now[side];
      try {
        const pictures = await clip(one.episode, chosen, one.start, one.length);
        if (shown.now && shown.now.number === number && view === chosen) frames[side] = pictures;
        at[side].note.textContent = '';
      } catch (error) {
        at[side].note.textContent = String(error.message || error);
      }
    }));
    if (shown.now && shown.now.number === number && view === chosen) began = performance.now();
  }

  function paint(now) {
    requestAnimationFrame(paint);
    if (!shown || !shown.now || !began) return;
    const length = shown.now.left.length, period = shown.period;
    const loop = length * period + HOLD;
    const step = Math.min(length, Math.floor((((now - began) / 1000) % loop) / period));
    if (step === painted || step < 0) return;
    painted = step;
    at.progress.style.transform = `scaleX(${step / length})`;
    for (const side of SIDES) {
      const canvas = at[side].canvas;
      if (view === PATH) drawPath(canvas, shown.now[side].path, step, limits);
      else if (frames[side]) drawPicture(canvas, frames[side][Math.min(step, frames[side].length - 1)]);
    }
  }

  window.label_page = {show, state: () => ({number: shown && shown.now && shown.now.number, step: painted, view})};
  const wait = setInterval(() => {
    const root = document.getElementById('label-root');
    if (root) { clearInterval(wait); build(root); }
  }, 20);
})();
