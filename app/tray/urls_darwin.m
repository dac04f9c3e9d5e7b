//go:build tray || desktop

#import <Cocoa/Cocoa.h>
#include "urls_darwin.h"

// Made by cgo from the function of that name in urls_darwin.go.
extern void samovarURL(char *text);

@interface SamovarURLs : NSObject
@end

@implementation SamovarURLs

- (void)take:(NSAppleEventDescriptor *)event withReply:(NSAppleEventDescriptor *)reply {
  NSString *text = [[event paramDescriptorForKeyword:keyDirectObject] stringValue];
  const char *utf8 = [text UTF8String];
  if (utf8 != NULL) {
    samovarURL((char *)utf8);
  }
}

@end

// The manager does not keep its handlers alive.
static SamovarURLs *taker;

void samovar_take_urls(void) {
  void (^install)(void) = ^{
    taker = [[SamovarURLs alloc] init];
    [[NSAppleEventManager sharedAppleEventManager]
        setEventHandler:taker
            andSelector:@selector(take:withReply:)
          forEventClass:kInternetEventClass
             andEventID:kAEGetURL];
  };
  if ([NSThread isMainThread]) {
    install();
  } else {
    dispatch_sync(dispatch_get_main_queue(), install);
  }
}
