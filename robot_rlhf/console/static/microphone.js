// Push to talk: sound goes to the console's own recogniser while the key or the button is held; nothing leaves by another way.
window.console_microphone = (() => {
  const {find, text, attribute} = window.console_elements;
  const RATE = 16000, LONGEST = 14.8, REST = 60000, SHOWN = 4000, MAX_WAITING = 1 << 20;
  const ICONS = {listening: 'mic', understanding: 'hourglass_empty', heard: 'done', unsure: 'help', nothing: 'hearing_disabled', refused: 'error', opening: 'mic_none'};
  let socket = null, context = null, recorder = null, stream = null, opening = null, propose = () => {};
  let held = false, pressed = 0, talking = false, limit = 0, rest = 0, fade = 0;

  function show(state, words) {
    const box = find('d-hears');
    clearTimeout(fade);
    box.hidden = false;
    attribute(box, 'data-state', state);
    text('d-hears-icon', ICONS[state] || 'mic');
    text('d-hears-words', words);
    if (!['listening', 'understanding', 'opening'].includes(state)) fade = setTimeout(() => { box.hidden = true; }, SHOWN);
  }

  function told(data) {
    const said = JSON.parse(data);
    if (said.state === 'listening') show('listening', 'Listening: speak, then let go');
    else if (said.state === 'understanding') show('understanding', 'Understanding …');
    else if (said.state === 'heard') show('heard', `Heard “${said.text}”`);
    else if (said.state === 'unsure') {
      show('unsure', `Heard “${said.text}”, not surely: T, correct it, then Enter`);
      propose(said.text, said.ago);
    } else if (said.state === 'nothing') show('nothing', `Could not hear: ${said.why}`);
    else if (said.state === 'refused') { show('refused', `Could not hear: ${said.why}`); stop('cancel'); }
    else find('d-hears').hidden = true;
  }

  const connected = () => new Promise((done, failed) => {
    if (socket && socket.readyState === 1) { done(); return; }
    const made = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws/speech`);
    made.binaryType = 'arraybuffer';
    made.onmessage = (event) => told(event.data);
    made.onopen = () => { socket = made; done(); };
    made.onclose = () => {
      if (socket === made) { socket = null; if (talking) { talking = false; show('refused', 'Could not hear: the connection is gone'); } }
      failed(new Error('the console does not answer'));
    };
  });

  async function microphone() {
    if (recorder) return;
    stream = await navigator.mediaDevices.getUserMedia({audio: {channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true}});
    const source = (made) => made.createMediaStreamSource(stream);
    let from;
    try {
      context = new AudioContext({sampleRate: RATE});
      from = source(context);
    } catch { // some browsers record at the device's rate only: the recogniser takes that, too
      context = new AudioContext();
      from = source(context);
    }
    await context.audioWorklet.addModule('/static/recorder.js');
    const made = new AudioWorkletNode(context, 'recorder', {numberOfOutputs: 0});
    made.port.onmessage = ({data}) => {
      if (!socket || socket.readyState !== 1) return;
      if (typeof data === 'string') socket.send(JSON.stringify({say: data}));
      else if (socket.bufferedAmount < MAX_WAITING) socket.send(data);
      else stop('cancel');
    };
    from.connect(made);
    recorder = made;
  }

  function close() { // the browser's sign that it records goes out
    if (stream) for (const track of stream.getTracks()) track.stop();
    if (context) context.close();
    stream = context = recorder = null;
  }

  function stop(how) {
    clearTimeout(limit);
    if (!talking) return;
    talking = false;
    if (recorder) recorder.port.postMessage(how);
    clearTimeout(rest);
    rest = setTimeout(close, REST);
  }

  async function start() {
    try {
      if (!recorder) show('opening', 'Opening the microphone …');
      await (opening ||= Promise.all([microphone(), connected()]));
      if (context.state === 'suspended') await context.resume();
    } catch (error) {
      close();
      const why = {NotAllowedError: 'the browser does not allow this page the microphone', NotFoundError: 'this machine has no microphone'};
      show('refused', `Could not hear: ${why[error.name] || error.message}. Type instead`);
      return;
    } finally { opening = null; }
    if (!held) { show('nothing', 'The microphone is open: hold the key, and speak'); clearTimeout(rest); rest = setTimeout(close, REST); return; }
    clearTimeout(rest);
    talking = true;
    socket.send(JSON.stringify({say: 'begin', rate: context.sampleRate, ago: Math.min(60, (performance.now() - pressed) / 1000)}));
    recorder.port.postMessage('begin');
    limit = setTimeout(() => stop('end'), 1000 * LONGEST);
  }

  function talk(down) {
    if (down === held) return;
    held = down;
    const button = find('d-dictate');
    if (button) button.classList.toggle('c-held', down);
    if (!down) stop('end');
    else { pressed = performance.now(); start(); }
  }

  addEventListener('pagehide', close);
  return {
    begin: (offer) => { propose = offer; }, // offer: takes words that need a look, and the seconds since they were begun
    talk, // down: whether the key or the button is held
  };
})();
