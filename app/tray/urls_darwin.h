// The Apple event that hands this process the links of its URL scheme.
void samovar_take_urls(void);
