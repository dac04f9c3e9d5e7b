//go:build desktop

// What WebKitGTK can do and Wails does not offer.

// dir is the folder for WebKit's own files.
int samovar_gtk_init(const char *dir);
int samovar_dark(void);
void samovar_attach(void);
int samovar_reload(void);
