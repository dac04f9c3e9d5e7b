//go:build tray || desktop

#import <Cocoa/Cocoa.h>
#include "events_darwin.h"

// Made by cgo from the functions of these names in events_darwin.go.
extern void samovarURL(char *text);
extern void samovarReopened(void);

@interface SamovarEvents : NSObject
@end

@implementation SamovarEvents

- (void)url:(NSAppleEventDescriptor *)event withReply:(NSAppleEventDescriptor *)reply {
  NSString *text = [[event paramDescriptorForKeyword:keyDirectObject] stringValue];
  const char *utf8 = [text UTF8String];
  if (utf8 != NULL) {
    samovarURL((char *)utf8);
  }
}

- (void)reopened:(NSAppleEventDescriptor *)event withReply:(NSAppleEventDescriptor *)reply {
  samovarReopened();
}

@end

// The manager does not keep its handlers alive.
static SamovarEvents *taker;

static void install(void) {
  NSAppleEventManager *manager = [NSAppleEventManager sharedAppleEventManager];
  taker = [[SamovarEvents alloc] init];
  [manager setEventHandler:taker
               andSelector:@selector(url:withReply:)
             forEventClass:kInternetEventClass
                andEventID:kAEGetURL];
  // AppKit's own handler asks the delegate, which is systray's and has no answer.
  [manager setEventHandler:taker
               andSelector:@selector(reopened:withReply:)
             forEventClass:kCoreEventClass
                andEventID:kAEReopenApplication];
}

// An app that is started for a link gets it within finishLaunching, before it is told that
// it did launch: then is too late, and before AppKit has put up its own handlers is too
// early for the other event.
void samovar_take_events(void) {
  @autoreleasepool {
    [[NSNotificationCenter defaultCenter] addObserverForName:NSApplicationWillFinishLaunchingNotification
                                                      object:nil
                                                       queue:nil
                                                  usingBlock:^(NSNotification *note) { install(); }];
  }
}
