//go:build desktop

// What macOS can do and Wails does not offer.

// Before Wails makes its window.
void samovar_prepare(void);
int samovar_dark(void);
void samovar_attach(void);
void samovar_front(void);
