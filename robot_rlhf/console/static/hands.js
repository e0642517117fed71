// Hands on the page itself: keys that light up, buttons that are held, sticks for fingers.
window.console_hands = (() => {
  function lights(held) {
    for (const e of document.querySelectorAll('[data-code]')) e.classList.toggle('c-held', held.includes(e.dataset.code));
  }

  function holds(e, down) {
    const set = (on) => (event) => {
      if (e.disabled && on) return;
      event.preventDefault();
      if (on && e.setPointerCapture) e.setPointerCapture(event.pointerId);
      e.classList.toggle('c-held', on);
      down(on);
    };
    e.addEventListener('pointerdown', set(true));
    for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) e.addEventListener(name, set(false));
    e.addEventListener('contextmenu', (event) => event.preventDefault());
  }

  function stick(e, seated) {
    const [vertical, sideways] = e.dataset.axes.split(' '), knob = e.querySelector('.d-stick-knob');
    let pointer = null;
    const put = (up, left) => {
      const reach = e.clientWidth / 2 - 38;
      knob.style.transform = `translate(${-left * reach}px, ${-up * reach}px)`;
      window.console_rlhf.setSticks({[vertical]: up, [sideways]: left});
    };
    const rest = () => { pointer = null; e.classList.remove('c-held'); put(0, 0); };
    const soft = (v) => { const a = Math.abs(v); return a < 0.08 ? 0 : Math.sign(v) * Math.min(1, (a - 0.08) / 0.92); };
    const move = (event) => {
      if (event.pointerId !== pointer) return;
      const box = e.getBoundingClientRect(), reach = box.width / 2 - 38;
      let left = -(event.clientX - box.left - box.width / 2) / reach, up = -(event.clientY - box.top - box.height / 2) / reach;
      const far = Math.hypot(left, up);
      if (far > 1) { left /= far; up /= far; }
      put(soft(up), soft(left));
      event.preventDefault();
    };
    e.addEventListener('pointerdown', (event) => {
      if (!seated() || pointer !== null) return;
      pointer = event.pointerId;
      e.setPointerCapture(pointer);
      e.classList.add('c-held');
      move(event);
    });
    e.addEventListener('pointermove', move);
    for (const name of ['pointerup', 'pointercancel', 'lostpointercapture']) e.addEventListener(name, (event) => { if (event.pointerId === pointer) rest(); });
    for (const name of ['blur', 'pagehide', 'visibilitychange']) addEventListener(name, () => { if (pointer !== null) rest(); });
    e.addEventListener('contextmenu', (event) => event.preventDefault());
  }

  return {
    lights, // held: codes of keys
    holds, // down: told true while the button is held
    stick, // seated: says whether this person may drive
  };
})();
