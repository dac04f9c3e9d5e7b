// The Apple events that hand this process the links of its URL scheme, and tell it that
// somebody opens the app though it runs.
void samovar_take_events(void);
