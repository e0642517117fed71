// Dark or light: what the person chose here before, else what the system prefers. Runs before the first paint.
(() => {
  const root = document.documentElement;
  const remembered = () => { try { return localStorage.getItem('console-theme'); } catch { return null; } };
  const preferred = matchMedia('(prefers-color-scheme: light)');
  const show = (theme) => {
    root.dataset.theme = theme;
    if (window.Quasar) window.Quasar.Dark.set(theme === 'dark');
    window.dispatchEvent(new CustomEvent('console-theme', {detail: theme}));
  };
  const chosen = () => remembered() || (preferred.matches ? 'light' : 'dark');
  window.console_theme = {
    now: () => root.dataset.theme,
    toggle: () => {
      const theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
      try { localStorage.setItem('console-theme', theme); } catch { /* private window: for this page only */ }
      show(theme);
    },
  };
  show(chosen());
  preferred.addEventListener('change', () => show(chosen()));
  document.addEventListener('DOMContentLoaded', () => {
    let tries = 0; // the page's own theme is set once it is mounted: say it again until it holds
    const timer = setInterval(() => {
      if (window.Quasar) window.Quasar.Dark.set(root.dataset.theme === 'dark');
      if (++tries > 20) clearInterval(timer);
    }, 100);
    setInterval(() => { // the drive page tells more about its connections by itself
      const link = document.getElementById('c-link');
      if (!link || document.getElementById('drive')) return;
      const live = Boolean(window.socket && window.socket.connected);
      link.dataset.state = live ? 'live' : 'lost';
      const lost = document.getElementById('c-stop') ? 'No connection: STOP does not reach the robot' : 'Reconnecting';
      document.getElementById('c-link-text').textContent = live ? 'Connected' : lost;
    }, 500);
  });
})();
