// What must not wait: pictures in, hands out. Two sockets, own key listeners, the gamepad; no part of NiceGUI.
// A page uses it by window.console_rlhf, described at its end.
(() => {
  if (window.console_rlhf) return;
  const HEARTBEAT = 50, PAD_PERIOD = 33, STICK_GAP = 15, TOO_OLD = 250, BACKOFF = [200, 400, 800, 1500], HEAD = 13;

  // ---- Hooks: each is told what is so already when it is added -----------------------------------------------------

  const hooks = {}, last = {};
  function tell(name, ...values) {
    last[name] = values;
    for (const call of hooks[name] || []) {
      try { call(...values); } catch (error) { console.error(error); }
    }
  }
  const on = (name, replay = true) => (call) => {
    (hooks[name] ||= []).push(call);
    if (replay && last[name]) call(...last[name]);
  };

  // ---- A socket that comes back by itself --------------------------------------------------------------------------

  let ended = false, leaving = false;
  function lasting(path, handlers) {
    const self = {socket: null, open: false, tries: 0};
    const connect = () => {
      if (ended || leaving) return;
      const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${path}`);
      socket.binaryType = 'arraybuffer';
      self.socket = socket;
      socket.onopen = () => { self.open = true; self.tries = 0; if (handlers.open) handlers.open(); };
      socket.onmessage = (event) => handlers.message(event.data);
      socket.onclose = () => {
        self.open = false;
        if (handlers.close) handlers.close();
        setTimeout(connect, BACKOFF[Math.min(self.tries++, BACKOFF.length - 1)]);
      };
    };
    self.send = (data) => { if (self.open && self.socket.readyState === 1) self.socket.send(data); };
    connect();
    return self;
  }

  let linked = '';
  function link(state) {
    if (ended) state = 'ended';
    if (state !== linked) { linked = state; tell('link', state); }
  }
  const both = () => video.open && teleop.open && ready ? link('live') : undefined;

  // ---- Pictures: all of one moment are painted together with what is said of it, then the next is asked for ---------

  const ACK = new Uint8Array([1]), stats = {situations: 0, pictures: 0, bad: 0, age: 0};
  const UNDER_WAY = new Set(['running', 'paused', 'rewinding']);
  let coming = null;
  let shown = ''; // the episode that was last seen under way: what a judgement is about, also after its end

  function onVideo(data) {
    if (typeof data === 'string') {
      const said = JSON.parse(data);
      if (said.ended) { end(); return; }
      coming = {said, decoding: []};
    } else if (coming) {
      const head = new DataView(data, 0, HEAD);
      stats.age = head.getFloat64(1, true);
      const name = coming.said.cameras[head.getUint8(0)];
      const jpeg = new Blob([new Uint8Array(data, HEAD)], {type: 'image/jpeg'});
      coming.decoding.push(createImageBitmap(jpeg).then((bitmap) => ({name, bitmap})));
    }
    if (!coming || coming.decoding.length < coming.said.pictures) return;
    const {said, decoding} = coming;
    coming = null;
    Promise.allSettled(decoding).then((results) => {
      try {
        for (const result of results) {
          if (result.status === 'fulfilled') paint(result.value); else stats.bad++;
        }
        stats.situations++;
        leading = said.present.driver === 'human' && !said.present.spoken;
        if (UNDER_WAY.has(said.present.phase) && said.present.episode) shown = said.present.episode;
        tell('present', said.present, said.number, said.guides, said.feels);
      } finally {
        video.send(ACK); // also after a bad picture: nothing may wait for ever
      }
    });
  }

  function paint({name, bitmap}) {
    for (const canvas of document.querySelectorAll(`canvas[data-camera="${CSS.escape(name)}"]`)) {
      if (canvas.width !== bitmap.width) canvas.width = bitmap.width;
      if (canvas.height !== bitmap.height) canvas.height = bitmap.height;
      canvas.getContext('2d').drawImage(bitmap, 0, 0);
      if (!canvas.dataset.painted) canvas.dataset.painted = '1';
    }
    bitmap.close();
    stats.pictures++;
  }

  function end() {
    ended = true;
    letGo();
    link('ended');
    tell('ended');
  }

  // ---- What is held --------------------------------------------------------------------------------------------------

  // Keys whose own meaning in the browser must not come through while this page drives; Tab and F-keys stay its own.
  const OURS = /^(Arrow(Up|Down|Left|Right)|Key[A-Z]|(Digit|Numpad)[1-3]|(Shift|Control)(Left|Right)|Page(Up|Down)|Space|Enter|NumpadEnter|Escape|Backspace)$/;
  const STOP_KEY = 'KeyX', STOP_BUTTON = 8, TALK_KEY = 'KeyY', PAGE_KEYS = {KeyT: 'focus_text', KeyH: 'help', KeyZ: 'take_back'};
  const keys = new Set(), pressed = new Set(), sticks = {};
  let talking = false; // the talk key is held
  let pads = [], seat = false, ready = false, sequence = 0, sentAt = 0, later = 0;
  let leading = false; // a person's hands drive, as far as the last situation says

  const input = () => {
    const held = [...new Set([...keys, ...pressed])].slice(0, 32);
    if (!seat) return {keys: held.filter((code) => code === STOP_KEY), pads: pads.map(onlyStop)};
    return {keys: held, pads, sticks, shown};
  };
  const onlyStop = (pad) => ({buttons: pad.buttons.map((value, i) => (i === STOP_BUTTON ? value : 0))});

  function send() {
    clearTimeout(later);
    later = 0;
    sentAt = performance.now();
    teleop.send(JSON.stringify({seq: sequence++, t: sentAt, input: input()}));
  }
  function soon() { // sticks move more often than anybody needs to know
    const wait = STICK_GAP - (performance.now() - sentAt);
    if (wait <= 0) send(); else if (!later) later = setTimeout(send, wait);
  }
  const held = () => { tell('held', [...keys, ...pressed]); send(); };

  function talk(down) { if (down !== talking) { talking = down; tell('talk', down); } }

  function letGo() {
    if (leaving) return;
    talk(false);
    const any = keys.size || pressed.size || pads.length || Object.values(sticks).some(Boolean);
    keys.clear(); pressed.clear(); pads = [];
    for (const name of Object.keys(sticks)) delete sticks[name];
    if (any) held();
  }

  const typing = () => {
    const e = document.activeElement;
    if (!e) return false;
    return e.isContentEditable || e.tagName === 'TEXTAREA' || e.tagName === 'SELECT' ||
      (e.tagName === 'INPUT' && !/^(range|checkbox|radio|button|submit|reset)$/.test(e.type));
  };
  // A button reached with the Tab key is pressed by Enter and Space, as everywhere.
  const onButton = (code) => /^(Enter|NumpadEnter|Space)$/.test(code) && document.activeElement &&
    document.activeElement.matches('button:focus-visible, a:focus-visible, [role=button]:focus-visible, [role=tab]:focus-visible');
  const asked = () => document.querySelector('.q-dialog__inner, .q-menu') !== null;

  addEventListener('keydown', (event) => {
    if (event.isComposing || !OURS.test(event.code)) return;
    if (typing()) {
      if (event.code === 'Escape') { event.preventDefault(); document.activeElement.blur(); }
      return;
    }
    if (event.altKey || event.metaKey || onButton(event.code)) return;
    if (PAGE_KEYS[event.code] && seat && !asked()) { // answered here and now: what is typed next is text, not driving
      event.preventDefault();
      if (!event.repeat) tell('local', PAGE_KEYS[event.code]);
      return;
    }
    if (event.code === TALK_KEY && seat && !asked()) { // sound goes another way than what is held
      event.preventDefault();
      if (!event.repeat) talk(true);
      return;
    }
    if (event.code === 'Escape' && document.querySelector('#d-sheet:not([hidden])')) { // closes the list, judges nothing
      event.preventDefault();
      tell('local', 'help');
      return;
    }
    if (event.code !== STOP_KEY && (!seat || asked())) return;
    event.preventDefault();
    if (event.repeat || keys.has(event.code)) return;
    // Pressed while the page was stuck: too old to drive. STOP is never too old.
    if (event.code !== STOP_KEY && performance.now() - event.timeStamp > TOO_OLD) return;
    keys.add(event.code);
    held();
  }, true);
  addEventListener('keyup', (event) => {
    if (event.code === TALK_KEY) talk(false);
    if (event.code.startsWith('Meta')) letGo(); // with it held, some systems tell of no release
    if (keys.delete(event.code)) held();
  }, true);
  // Somebody whose window is covered while they drive has not decided to hand back: the robot is paused.
  function away() {
    const driving = keys.size || pressed.size || pads.length || Object.values(sticks).some(Boolean) || leading;
    letGo();
    if (!driving || !seat || leaving) return;
    pressed.add('ScreenAway'); held();
    setTimeout(() => { if (pressed.delete('ScreenAway')) held(); }, 100);
  }
  addEventListener('blur', away);
  document.addEventListener('visibilitychange', () => { if (document.hidden) away(); });
  document.addEventListener('focusin', () => { if (typing()) letGo(); });
  // A button that was clicked must not swallow the next key.
  document.addEventListener('click', (event) => {
    const button = event.target instanceof Element && event.target.closest('button, a, [role=button], [role=tab]');
    if (button && event.detail > 0) button.blur();
  });
  addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });
  // A page that goes while it drives has not let go: its socket closes with the keys down, and the robot is paused.
  addEventListener('pagehide', () => { leaving = true; if (teleop.socket) teleop.socket.close(); });

  // ---- The gamepad ---------------------------------------------------------------------------------------------------

  const rounded = (value) => Math.round(Math.max(-1, Math.min(1, Number.isFinite(value) ? value : 0)) * 500) / 500;
  let padNames = '';
  function pollPads() {
    const there = [...(navigator.getGamepads ? navigator.getGamepads() : [])].filter((pad) => pad && pad.connected !== false);
    const known = there.filter((pad) => pad.mapping === 'standard').slice(0, 4);
    const names = JSON.stringify(there.map((pad) => ({name: pad.id, known: pad.mapping === 'standard'})));
    if (names !== padNames) { padNames = names; tell('pad', JSON.parse(names)); }
    const seen = document.hidden || !document.hasFocus() ? [] : known;
    const now = seen.map((pad) => ({
      axes: [...pad.axes].slice(0, 16).map(rounded),
      buttons: [...pad.buttons].slice(0, 32).map((b) => rounded(Math.max(0, typeof b === 'object' ? b.value : b))),
    }));
    if (JSON.stringify(now) !== JSON.stringify(pads)) { pads = now; send(); }
  }

  // ---- What the server says to the hands -------------------------------------------------------------------------------

  function onTeleop(data) {
    const said = JSON.parse(data);
    if ('ready' in said) { ready = true; both(); }
    if ('seat' in said) {
      const before = seat;
      seat = said.seat;
      if (before && !seat) letGo();
      tell('seat', said.seat, said.operator, said.you);
    }
    if ('controls' in said) tell('controls', said.controls);
    if ('local' in said) for (const command of said.local) tell('local', command);
    if ('error' in said) tell('error', said.error);
  }

  const video = lasting('/ws/video', {
    open: both,
    message: onVideo,
    close: () => { coming = null; link('lost'); },
  });
  let greeting = 0;
  function greet() { // again and again: the server knows how late this page's clock is only after some time
    clearTimeout(greeting);
    send();
    greeting = setTimeout(() => { if (teleop.open && !ready) greet(); }, 300);
  }
  const teleop = lasting('/ws/teleop', {
    open: greet,
    message: onTeleop,
    close: () => { ready = false; letGo(); link('lost'); },
  });
  link('wait');
  setInterval(() => { if (seat && performance.now() - sentAt >= HEARTBEAT - 5) send(); }, HEARTBEAT);
  setInterval(pollPads, PAD_PERIOD);

  window.console_rlhf = {
    onPresent: on('present'), // (present, number, guides, feels): the pictures of this moment have just been painted
    onSeat: on('seat'), // (whether it is this page's, the operator's name, one's own name)
    onControls: on('controls'), // ({mode, speed, frame})
    onLocal: on('local', false), // (what a key asks of the page: 'focus_text', 'help', 'take_back'; or has changed: 'speed', 'frame', 'mode')
    onTalk: on('talk', false), // (whether the key that is held to speak is down)
    onError: on('error', false), // (text for the person)
    onLink: on('link'), // ('wait', 'live', 'lost' or 'ended')
    onEnded: on('ended'), // (): the robot's process is gone
    onPad: on('pad'), // ([{name, known}]): gamepads; an unknown layout is not used
    onHeld: on('held'), // ([codes]): keys, and buttons that stand for keys
    setSticks: (values) => { Object.assign(sticks, values); soon(); }, // x, y, z, rx, ry, rz in [-1, 1]; lead 0 or 1
    holdKey: (code, down) => { if (down ? !pressed.has(code) && pressed.add(code) : pressed.delete(code)) held(); },
    letGo,
    stats, // situations and pictures painted, bad pictures, ms from sensing to sending of the last
    get link() { return linked; },
    get ready() { return ready; },
    get shown() { return shown; },
    get seat() { return seat; },
    get held() { return [...keys, ...pressed]; },
  };
})();
