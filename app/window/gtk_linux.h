//go:build desktop

// What WebKitGTK can do and Wails does not offer.

// dir is the folder for WebKit's own files.
int samovar_gtk_init(const char *dir);
int samovar_dark(void);
// At once, on the main thread before its loop runs; later on from any other.
void samovar_prefer_dark(int dark);
void samovar_prefer_dark_later(int dark);
void samovar_attach(void);
int samovar_reload(void);
