//go:build desktop

#import <Cocoa/Cocoa.h>
#include <stdlib.h>

#include "cocoa_darwin.h"

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
