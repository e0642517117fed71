// What the person says to the robot: typed, chosen or dictated, with the seconds since they began to say it.
window.console_speech = (() => {
  const {find} = window.console_elements;
  let began = null, recall = -1;
  const ago = () => (began === null ? 0 : Math.max(0, (performance.now() - began) / 1000));
  function send(words, seconds) {
    const said = words.trim();
    if (said && window.emitEvent) window.emitEvent('drive-speak', {text: said, ago: seconds});
  }
  function begin(history, able) {
    const field = find('d-text');
    const finish = () => { send(field.value, ago()); field.value = ''; began = null; recall = -1; };
    field.addEventListener('input', () => { if (began === null) began = performance.now(); if (!field.value) began = null; });
    field.addEventListener('keydown', (e) => {
      if (e.isComposing) return;
      if (e.key === 'Enter') { e.preventDefault(); e.stopPropagation(); finish(); field.blur(); }
      if (e.key === 'Escape') { e.preventDefault(); e.stopPropagation(); field.blur(); }
      if (e.key === 'ArrowUp' || e.key === 'ArrowDown') {
        const all = history();
        recall = Math.min(all.length - 1, Math.max(-1, recall + (e.key === 'ArrowUp' ? 1 : -1)));
        field.value = recall < 0 ? '' : all[recall];
        if (began === null) began = performance.now();
        e.preventDefault();
      }
    });
    find('d-send').addEventListener('click', (e) => { finish(); e.currentTarget.blur(); });
    const Recogniser = window.SpeechRecognition || window.webkitSpeechRecognition, button = find('d-dictate');
    const local = button.dataset.ears === 'local', hears = local ? window.AudioWorkletNode : Recogniser;
    if (button.dataset.ears === 'none' || (!hears && isSecureContext)) return;
    button.hidden = false;
    if (!isSecureContext) { // plain http over a network: the browser gives no microphone, whatever is pressed
      button.dataset.never = 'No dictation over plain http: browsers give a microphone to https, or on the machine itself';
      able(button);
      return;
    }
    if (local) {
      const {begin, talk} = window.console_microphone;
      begin((words, seconds) => { if (!field.value) { field.value = words; began = performance.now() - 1000 * seconds; } });
      window.console_hands.holds(button, talk);
      window.console_rlhf.onTalk((down) => { if (!down || !button.disabled) talk(down); });
      return;
    }
    let listening = null;
    button.addEventListener('click', () => {
      button.blur();
      if (listening) { listening.stop(); return; }
      listening = new Recogniser();
      listening.lang = button.dataset.language || navigator.language;
      listening.interimResults = true;
      const quiet = () => { listening = null; button.classList.remove('c-held'); button.title = 'Dictate'; };
      listening.onspeechstart = () => { if (began === null) began = performance.now(); };
      listening.onresult = (e) => { if (began === null) began = performance.now(); field.value = Array.from(e.results, (r) => r[0].transcript).join(' '); };
      listening.onerror = (e) => { quiet(); field.placeholder = `Dictation: ${e.error}. Type instead`; };
      listening.onend = () => { quiet(); if (field.value) field.focus(); };
      listening.start();
      button.classList.add('c-held');
      button.title = 'Listening: press again to end';
    });
  }

  return {
    begin, // history: gives what was said before, the last first; able: enables an element or says why not
    send, // seconds: ago that the words were begun
  };
})();
