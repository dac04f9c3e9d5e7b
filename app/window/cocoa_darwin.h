//go:build desktop

// What macOS can do and Wails does not offer.

int samovar_dark(void);
void samovar_attach(void);
