// What the operator's page shows of the present, and its own controls. Pictures, keys and sockets: transport.js.
// The words of the banner, the episode's time, speech and hands on the page stand in the scripts of these names.
(() => {
  const {find: $, text, attribute, node, icon} = window.console_elements;
  const timeline = window.console_timeline, speech = window.console_speech, hands = window.console_hands;
  const sentences = window.console_sentences;
  const store = {
    get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
    set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* private window */ } },
  };
  const marks = window.console_guides;
  let bus = null, root = null, present = null, state = {}, linked = 'wait', ended = false, watching = 0;

  // ---- The banner: who drives, in colour, words and icon --------------------------------------------------------

  // The banner is true as long as situations come, whatever the other socket does.
  const fresh = () => present !== null && performance.now() - watching < (linked === 'lost' ? 300 : 1500);

  function paintBanner() {
    const moment = timeline.moment();
    const b = window.console_banner({present, moment, state, fresh: fresh(), linked, ended});
    attribute(root, 'data-look', b.look);
    text('d-icon', b.icon); text('d-words', b.words); text('d-sub', b.sub.charAt(0).toUpperCase() + b.sub.slice(1));
    const badge = $('d-badge');
    badge.hidden = !b.badge;
    text('d-badge', b.badge);
  }

  // ---- The present, with each situation --------------------------------------------------------------------------

  function onPresent(p, feels) {
    const paused = p.phase === 'paused' || p.phase === 'rewinding';
    present = p;
    watching = performance.now();
    root.classList.remove('d-still');
    attribute(root, 'data-paused', paused ? '1' : '0');
    attribute(root, 'data-faults', p.faults.length ? '1' : '0');
    timeline.follow(p);
    paintBanner();
    timeline.paint(p, paused && Boolean(state.can_rewind && state.seat));
    const period = state.period || 0.05;
    text('d-step', p.episode ? String(p.step) : '–');
    text('d-of', p.episode && p.time_limit ? ` / ${p.time_limit}` : '');
    text('d-left', !p.episode ? '–' : p.time_limit ? `${Math.max(0, (p.time_limit - p.step) * period).toFixed(1)} s` : '∞');
    text('d-instruction', p.instruction || '–');
    text('d-episode', p.episode);
    const w = p.tool_wrench;
    text('d-force', w ? `${Math.hypot(w[0], w[1], w[2]).toFixed(1)} N` : '');
    text('d-gripper', !p.tool_pose ? '–' : feels || `${Math.round(100 * p.gripper)} % open`);
    text('d-policy', p.policy_version >= 0 ? `policy ${p.policy_version}` : '');
    if (paused !== wasPaused) { wasPaused = paused; paintSeat(); }
    const release = $('d-release');
    if (release) able(release);
  }
  let wasPaused = false;

  // ---- Seat, settings, guard, sentences, learning: what the server says a few times a second ----------------------

  function able(e) {
    const never = e.dataset.never || '';
    let why = never;
    if (!why && !state.seat) why = state.operator ? `${state.operator} has the seat: take it to do this` : 'Take the seat to do this';
    if (!why && e.id === 'd-release' && !(present && (present.faults.length || present.phase === 'stopped'))) why = 'Nothing to release';
    if (!why && ended) why = 'The session has ended';
    if (e.disabled !== Boolean(why)) e.disabled = Boolean(why);
    if (e.dataset.title === undefined) e.dataset.title = e.title || '';
    const title = why || e.dataset.title;
    if (e.title !== title) e.title = title;
  }

  function paintSeat() {
    if (state.seat === undefined) return; // nobody has said yet
    attribute(root, 'data-seat', state.seat ? '1' : '0');
    for (const e of root.querySelectorAll('[data-seat-only]')) able(e);
    const name = state.you || 'You';
    text('d-person-words', state.seat ? `${name} · your seat` : `${name} · watching`);
    text('d-watch-words', state.operator ? `You are watching. ${state.operator} has the seat: taking it ends their driving at once.` : 'Nobody has the seat. Whoever takes it drives and judges.');
    const leave = $('d-leave');
    if (leave) leave.disabled = !state.seat;
    for (const e of document.querySelectorAll('.d-stick')) e.classList.toggle('d-off', !state.seat);
  }

  // What this browser's operator chose last is so again when it gets the seat, in this session and in the next.
  const SETTINGS = ['mode', 'speed', 'frame'];
  const remember = (setting, value) => store.set(`console-${setting}`, String(value));
  let seated = false;
  function recallSettings() {
    const before = seated;
    seated = Boolean(state.seat);
    if (before || !seated) return;
    const known = Object.fromEntries(SETTINGS.map((s) => [s, store.get(`console-${s}`)]).filter(([, v]) => v !== null));
    if (Object.keys(known).length && window.emitEvent) window.emitEvent('drive-settings', known);
  }

  function paintSettings() {
    for (const setting of SETTINGS) {
      for (const e of root.querySelectorAll(`[data-${setting}]`)) {
        attribute(e, 'aria-pressed', String(e.dataset[setting]) === String(state[setting]) ? 'true' : 'false');
      }
    }
  }

  const painted = {};
  function changed(name, value) {
    const now = JSON.stringify(value);
    if (painted[name] === now) return false;
    painted[name] = now;
    return true;
  }

  const seen = new Set();
  function paintGuard() {
    const events = state.guard || [];
    if (!changed('guard', events)) return;
    const box = $('d-guard');
    box.replaceChildren();
    if (!events.length) box.append(row('verified_user', 'Nothing was limited or refused.'));
    for (const e of events) {
      const made = row(e.latched ? 'lock' : 'shield', e.count > 1 ? `${e.text} (${e.count} times)` : e.text);
      if (e.latched) made.classList.add('d-event-latched');
      else if (!seen.has(e.key)) made.classList.add('d-event-fresh');
      seen.add(e.key);
      made.title = e.detail || '';
      box.append(made);
    }
  }
  const row = (name, words) => { const e = node('div', 'd-event'); e.append(icon(name), node('span', '', words)); return e; };

  function paintLearning() {
    $('d-show').hidden = !state.shows;
    for (const [name, words] of Object.entries(state.numbers || {})) text(`d-n-${name}`, words);
    text('d-loop', state.loop && state.loop !== '–' ? `loop ${state.loop}` : '');
    for (const [name, words] of Object.entries(state.labels || {})) text(`d-l-${name}`, words);
    const trains = state.trains || {level: '', text: '–'};
    attribute($('d-trains'), 'data-level', trains.level);
    text('d-trains-icon', {good: 'trending_up', warn: 'pause_circle'}[trains.level] || 'hourglass_empty');
    text('d-trains-words', trains.text);
    $('d-trains').title = trains.text;
    if (changed('advice', state.advice || [])) {
      const hints = (state.advice || []).map((a) => {
        const e = node('div', 'd-hint');
        e.dataset.level = a.level;
        const because = a.because ? `because ${a.because}` : '';
        e.append(icon({good: 'thumb_up', warn: 'warning'}[a.level] || 'lightbulb'), node('span', '', a.text), node('em', '', because));
        e.title = `${a.text} ${because}`;
        return e;
      });
      $('d-advice').replaceChildren(...(hints.length ? hints : [node('div', 'c-dim', 'Advice comes once a few episodes have been run.')]));
    }
  }

  function paintLast() {
    const last = state.last || {text: '', undo: ''}, undo = $('d-undo');
    text('d-last-words', last.text || 'None has ended yet.');
    undo.hidden = !last.undo;
    undo.dataset.title = last.undo;
    able(undo);
  }

  function paintEnd() {
    if (!state.ended && !ended) return;
    document.body.classList.add('c-ended');
    ended = true;
    const facts = state.summary || [];
    if (changed('summary', facts)) $('d-ended-facts').replaceChildren(...facts.flatMap(([name, value]) => [node('dt', '', name), node('dd', '', value)]));
    if (state.ended_why) text('d-ended-why', state.ended_why);
  }

  function onState() {
    state = {...(window.console_drive_state || {}), hands: state.hands};
    recallSettings();
    paintSeat(); paintSettings(); paintBanner(); paintGuard(); sentences.paint(state, able); paintLast(); paintLearning(); paintEnd();
  }

  // ---- Keys or sticks ---------------------------------------------------------------------------------------------

  const hold = (code, on) => bus && bus.holdKey && bus.holdKey(code, on);

  function driveWith(which) {
    state.hands = which;
    attribute(root, 'data-hands', which);
    text('d-hands-words', which === 'sticks' ? 'Keys' : 'Sticks');
    store.set('console-hands', which);
    marks.set({words: which === 'sticks'});
    if (present) paintBanner();
  }

  // ---- Pictures: which one is large -------------------------------------------------------------------------------

  function cameras() {
    const large = $('d-mains'), small = $('d-smalls');
    if (!large || !small) return;
    small.addEventListener('click', (event) => {
      const cell = event.target.closest('.d-camera');
      if (!cell) return;
      const old = large.querySelector('.d-camera');
      small.replaceChild(old, cell);
      large.append(cell);
      cell.blur();
      if (window.emitEvent) window.emitEvent('drive-camera', cell.dataset.name);
    });
  }

  function sheet() { const e = $('d-sheet'); e.hidden = !e.hidden; }

  // ---- Begin ------------------------------------------------------------------------------------------------------

  function link(to) {
    linked = to;
    attribute($('c-link'), 'data-state', ended ? 'ended' : to === 'still' ? 'wait' : to);
    text('c-link-text', {live: 'Connected', still: 'No pictures', wait: 'Connecting', lost: ended ? 'Ended' : 'Reconnecting'}[to]);
    paintBanner();
  }

  function begin() {
    root = $('drive');
    bus = window.console_rlhf;
    const coarse = matchMedia('(pointer: coarse)').matches;
    driveWith(store.get('console-hands') || (coarse ? 'sticks' : 'keys'));
    $('d-hands').addEventListener('click', (e) => { driveWith(state.hands === 'sticks' ? 'keys' : 'sticks'); e.currentTarget.blur(); });
    timeline.begin();
    speech.begin(() => state.history || [], able);
    cameras();
    $('d-sheet-close').addEventListener('click', sheet);
    root.addEventListener('click', (event) => {
      const choice = event.target instanceof Element && event.target.closest('.d-segment button');
      if (choice) for (const setting of SETTINGS) if (choice.dataset[setting]) remember(setting, choice.dataset[setting]);
    });
    hands.holds($('d-lead'), (on) => bus.setSticks({lead: on ? 1 : 0}));
    hands.holds($('d-grip'), (on) => hold('KeyG', on));
    // STOP goes both ways: at once on the driving socket, and as a click.
    hands.holds(root.querySelector('.d-stop-now'), (on) => hold('KeyX', on));
    for (const e of document.querySelectorAll('.d-stick')) hands.stick(e, () => state.seat);
    document.addEventListener('visibilitychange', () => window.emitEvent && window.emitEvent('drive-visible', !document.hidden));
    connect();
    onState();
    setInterval(() => {
      if (fresh() || root.classList.contains('d-still')) return;
      root.classList.add('d-still');
      if (linked === 'live') link('still');
      paintBanner();
    }, 250);
  }

  // Told by transport.js: the present, the seat, connection, gamepad, what keys ask the page for.
  function connect() {
    bus.onPresent((p, number, guides, feels) => { onPresent(p, feels); marks.set({keys: Boolean(state.seat) && p.driver !== 'policy'}); marks.show(guides, feels); if (linked === 'still') link(bus.link); });
    bus.onSeat((seat, operator, you) => { Object.assign(state, {seat, operator, you}); paintSeat(); paintBanner(); });
    bus.onControls((controls) => { Object.assign(state, controls); paintSettings(); });
    bus.onLink((to) => { if (to === 'ended') { ended = true; paintEnd(); paintSeat(); } link(to === 'ended' ? 'lost' : to); });
    bus.onLocal((command) => {
      if (command === 'focus_text') $('d-text').focus();
      if (SETTINGS.includes(command)) remember(command, state[command]);
      if (command === 'help') sheet();
      if (command === 'take_back') sentences.takeBack();
    });
    bus.onError((words) => { if (window.Quasar) window.Quasar.Notify.create({message: words, type: 'warning', position: 'top', timeout: 4000}); });
    bus.onHeld((held) => { hands.lights(held); marks.set({held}); });
    bus.onPad((pads) => {
      const known = pads.find((pad) => pad.known);
      attribute($('d-pad'), 'data-on', known ? '1' : '0');
      text('d-pad-words', known ? 'Gamepad' : pads.length ? 'Unknown gamepad' : isSecureContext ? 'No gamepad' : 'Gamepad: needs https');
      const why = 'Over plain http browsers show a gamepad only to pages opened on the machine itself';
      $('d-pad').title = pads.map((pad) => pad.name).join(', ') || (isSecureContext ? '' : why);
    });
  }

  window.console_drive = {state: () => { if (root) onState(); }};
  (function whenBuilt() { if ($('drive') && $('d-advice') && window.console_rlhf) begin(); else setTimeout(whenBuilt, 30); })();
})();
