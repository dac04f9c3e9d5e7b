package app

import (
	"context"
	"log/slog"
	"time"

	"samovar/app/notify"
	"samovar/engine/infer"
)

// notesEvery is how often it is looked whether something is worth a note that nobody
// tells of.
const notesEvery = 10 * time.Second

// sendWithin is how long a desktop may take to take a note: what happens meanwhile waits.
const sendWithin = 10 * time.Second

// happenings is what notes are made of.
type happenings interface {
	Overview() infer.Overview
	Transitions() (<-chan infer.Transition, func())
}

// notify shows the desktop's user what is worth a notification, until ctx is done.
func (o *service) notify(ctx context.Context, to notify.Sender) {
	pulls, stop := o.library.WatchPulls()
	defer stop()
	tick := time.NewTicker(notesEvery)
	defer tick.Stop()
	sendNotes(ctx, to, o.fleet, pulls, tick.C, o.notifies, o.log)
}

// notifies says whether notifications are wanted: who serves without a menu bar has nobody
// to tell.
func (o *service) notifies() bool {
	b := o.desk.build
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.settings.Notifications && o.desktop.Desktop().MenuBar
}

// sendNotes is notify, with what it needs. What cannot be shown is said once in the log.
func sendNotes(ctx context.Context, to notify.Sender, from happenings, pulls <-chan infer.Pull, ticks <-chan time.Time, wanted func() bool, log *slog.Logger) {
	if to == nil {
		return // this system has none
	}
	moves, stop := from.Transitions()
	defer stop()
	defer func() {
		if err := to.Close(); err != nil {
			log.Debug("the notification server is gone", "err", err)
		}
	}()
	var decide notify.Decider
	failed := false
	for {
		var notes []notify.Note
		var one notify.Note
		ok := false
		select {
		case p := <-pulls:
			one, ok = decide.Pull(p, time.Now())
		case t := <-moves:
			one, ok = decide.Transition(t, time.Now())
		case <-ticks:
			notes = decide.Overview(from.Overview(), time.Now())
		case <-ctx.Done():
			return
		}
		if ok {
			notes = append(notes, one)
		}
		for _, n := range notes {
			if !wanted() {
				continue
			}
			if err := sendNote(ctx, to, n); err != nil && ctx.Err() == nil && !failed {
				failed = true
				log.Info("the desktop shows no notifications", "err", err)
			}
		}
	}
}

func sendNote(ctx context.Context, to notify.Sender, n notify.Note) error {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	return to.Send(ctx, n)
}
