//go:build desktop

// What WebKitGTK can do and Wails does not offer.

int samovar_gtk_init(void);
int samovar_dark(void);
void samovar_attach(void);
int samovar_reload(void);
