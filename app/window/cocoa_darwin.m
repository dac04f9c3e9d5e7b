//go:build desktop

#import <Cocoa/Cocoa.h>
#import <WebKit/WebKit.h>
#import <objc/runtime.h>
#include <stdlib.h>

#include "cocoa_darwin.h"

// Made by cgo from the function of that name in leads_desktop.go.
extern void samovarLeads(char *address);

// The window shows its own page and nothing else: what leads elsewhere goes to the browser,
// and a file that is dropped on the page does not take its place.
static void decide(id self, SEL command, WKWebView *view, WKNavigationAction *action, void (^decided)(WKNavigationActionPolicy)) {
	NSURL *url = action.request.URL;
	if ([url.scheme isEqualToString:@"wails"] && action.targetFrame != nil) {
		decided(WKNavigationActionPolicyAllow);
		return;
	}
	decided(WKNavigationActionPolicyCancel);
	const char *address = url.absoluteString.UTF8String;
	if (address != NULL)
		samovarLeads((char *)address);
}

// WebKit asks its delegate, which is Wails's and has no answer; it is given one. WebKit looks
// once for what its delegate can do, so that comes before there is one.
void samovar_prepare(void) {
	Class delegate = objc_getClass("WailsContext");
	if (!class_addMethod(delegate, @selector(webView:decidePolicyForNavigationAction:decisionHandler:), (IMP)decide, "v@:@@@?"))
		NSLog(@"samovar: links are not kept out of the window");
}

int samovar_dark(void) {
	@autoreleasepool {
		NSString *style = [[NSUserDefaults standardUserDefaults] stringForKey:@"AppleInterfaceStyle"];
		return [style isEqualToString:@"Dark"];
	}
}

// Wails answers "not now" when the system asks its programs to end, and ends later: a
// logout would say that Samovar interrupted it. There is nothing here to lose.
void samovar_attach(void) {
	dispatch_async(dispatch_get_main_queue(), ^{
		[[[NSWorkspace sharedWorkspace] notificationCenter] addObserverForName:NSWorkspaceWillPowerOffNotification
			object:nil
			queue:[NSOperationQueue mainQueue]
			usingBlock:^(NSNotification *note) { exit(0); }];
	});
}

void samovar_front(void) {
	dispatch_async(dispatch_get_main_queue(), ^{
		for (NSWindow *window in [NSApp windows])
			if ([window canBecomeMainWindow])
				[window orderFrontRegardless];
		[NSApp activateIgnoringOtherApps:YES];
	});
}
