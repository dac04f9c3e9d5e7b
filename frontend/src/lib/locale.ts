// uPlot asks for number formats of navigator.language when it is loaded, and throws where that
// is no language: WebKitGTK says "C" under LANG=C. Import this before it.
try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US', configurable: true });
}
