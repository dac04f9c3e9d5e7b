//go:build desktop

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <gtk/gtk.h>
#include <webkit2/webkit2.h>

#include "_cgo_export.h"
#include "gtk_linux.h"

static WebKitWebView *view; // used on the main thread only

// A language that the page can use: under C there is none, and texts are not UTF-8.
static void use_language(void) {
	const char *now = setlocale(LC_ALL, "");
	const char *messages = now ? setlocale(LC_MESSAGES, NULL) : NULL;
	if (messages && strcmp(messages, "C") != 0 && strcmp(messages, "POSIX") != 0 && strncmp(messages, "C.", 2) != 0)
		return;
	const char *known[] = {"en_US.UTF-8", "en_GB.UTF-8", "C.UTF-8"};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (setlocale(LC_ALL, known[i])) {
			setenv("LC_ALL", known[i], 1); // for WebKit's processes, too
			return;
		}
	}
}

// GLib reads where files belong once, and WebKit asks GLib: its caches would lie among our
// models otherwise, whatever folder we were told to use. The variables themselves stay as
// they are, for processes that are started from here. Themes of the user's are still found.
static void keep_files(const char *dir) {
	const char *names[] = {"XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_DATA_DIRS"};
	char *before[3];
	for (int i = 0; i < 3; i++)
		before[i] = g_strdup(g_getenv(names[i]));
	char *home = before[0] && *before[0] ? g_strdup(before[0]) : g_build_filename(g_get_home_dir(), ".local", "share", NULL);
	char *dirs = g_strconcat(home, ":", before[2] && *before[2] ? before[2] : "/usr/local/share:/usr/share", NULL);
	g_setenv(names[0], dir, TRUE);
	g_setenv(names[1], dir, TRUE);
	g_setenv(names[2], dirs, TRUE);
	g_get_user_data_dir();
	g_get_user_cache_dir();
	g_get_system_data_dirs();
	for (int i = 0; i < 3; i++) {
		if (before[i])
			g_setenv(names[i], before[i], TRUE);
		else
			g_unsetenv(names[i]);
		g_free(before[i]);
	}
	g_free(dirs);
	g_free(home);
}

int samovar_gtk_init(const char *dir) {
	keep_files(dir);
	use_language();
	return gtk_init_check(NULL, NULL);
}

// As WebKit decides it for prefers-color-scheme.
int samovar_dark(void) {
	GtkSettings *settings = gtk_settings_get_default();
	if (!settings)
		return 0;
	const char *variable = g_getenv("GTK_THEME");
	if (variable && *variable)
		return g_str_has_suffix(variable, ":dark") || g_str_has_suffix(variable, "-dark");
	gboolean prefers = FALSE;
	char *name = NULL;
	g_object_get(settings, "gtk-application-prefer-dark-theme", &prefers, "gtk-theme-name", &name, NULL);
	int dark = prefers || (name && g_str_has_suffix(name, "-dark"));
	g_free(name);
	return dark;
}

void samovar_prefer_dark(int dark) {
	GtkSettings *settings = gtk_settings_get_default();
	if (settings)
		g_object_set(settings, "gtk-application-prefer-dark-theme", dark ? TRUE : FALSE, NULL);
}

static gboolean prefer_dark(gpointer dark) {
	samovar_prefer_dark(GPOINTER_TO_INT(dark));
	return G_SOURCE_REMOVE;
}

void samovar_prefer_dark_later(int dark) { g_idle_add(prefer_dark, GINT_TO_POINTER(dark)); }

static void find(GtkWidget *widget, gpointer found) {
	if (WEBKIT_IS_WEB_VIEW(widget))
		*(WebKitWebView **)found = WEBKIT_WEB_VIEW(widget);
	else if (GTK_IS_CONTAINER(widget))
		gtk_container_forall(GTK_CONTAINER(widget), find, found);
}

static void died(WebKitWebView *v, WebKitWebProcessTerminationReason reason, gpointer unused) {
	(void)v;
	(void)unused;
	samovarContentDied((int)reason);
}

// The window shows its own page and nothing else: what leads elsewhere goes to the browser.
static gboolean decide(WebKitWebView *v, WebKitPolicyDecision *decision, WebKitPolicyDecisionType type, gpointer unused) {
	(void)v;
	(void)unused;
	if (type != WEBKIT_POLICY_DECISION_TYPE_NAVIGATION_ACTION && type != WEBKIT_POLICY_DECISION_TYPE_NEW_WINDOW_ACTION)
		return FALSE;
	WebKitNavigationAction *action = webkit_navigation_policy_decision_get_navigation_action(WEBKIT_NAVIGATION_POLICY_DECISION(decision));
	const char *uri = webkit_uri_request_get_uri(webkit_navigation_action_get_request(action));
	if (g_str_has_prefix(uri, "wails://wails/") && type == WEBKIT_POLICY_DECISION_TYPE_NAVIGATION_ACTION)
		return FALSE;
	webkit_policy_decision_ignore(decision);
	samovarLeads((char *)uri);
	return TRUE;
}

static gboolean attach(gpointer unused) {
	(void)unused;
	GList *windows = gtk_window_list_toplevels();
	for (GList *w = windows; w && !view; w = w->next)
		find(GTK_WIDGET(w->data), &view);
	g_list_free(windows);
	if (view) {
		g_signal_connect(view, "web-process-terminated", G_CALLBACK(died), NULL);
		g_signal_connect(view, "decide-policy", G_CALLBACK(decide), NULL);
	}
	return G_SOURCE_REMOVE;
}

void samovar_attach(void) { g_idle_add(attach, NULL); }

static gboolean reload(gpointer unused) {
	(void)unused;
	if (view) {
		// One that hangs doesn't load; where it is gone already this does nothing.
		webkit_web_view_terminate_web_process(view);
		webkit_web_view_reload(view);
	}
	return G_SOURCE_REMOVE;
}

int samovar_reload(void) {
	g_idle_add(reload, NULL);
	return 1;
}
