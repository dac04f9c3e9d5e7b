package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/engine/infer"
	"samovar/server"
	"samovar/server/control"
)

// fakeDesktop has a window while it has a menu bar.
type fakeDesktop struct {
	view control.DesktopView
	page string
}

func (d *fakeDesktop) Desktop() control.DesktopView { return d.view }

func (d *fakeDesktop) Open(page string) error {
	if !d.view.Window {
		return &infer.Error{Code: infer.CodeConflict, Message: "There is no window.", Hint: "Use a browser."}
	}
	d.page = page
	return nil
}

func (d *fakeDesktop) SetLogin(_ context.Context, enabled bool) error {
	d.view.Login.Enabled = enabled
	return nil
}

func (d *fakeDesktop) Welcomed() error {
	d.view.Welcome = false
	return nil
}

func TestDesktopRoutes(t *testing.T) {
	d := &fakeDesktop{view: control.DesktopView{Welcome: true, Login: control.LoginView{Why: "It is a test."}}}
	ask := func(route, body string) (int, string) {
		method, path, _ := strings.Cut(route, " ")
		w := doWith(server.Options{Engine: newFake(), Desktop: d}, newRequest(method, "/samovar/v1/desktop"+path, body))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	code, said := ask("GET ", "")
	require.Equal(t, http.StatusOK, code)
	require.JSONEq(t, `{"menu_bar":false,"window":false,"login":{"supported":false,"enabled":false,"why":"It is a test."},"welcome":true}`, said)

	code, said = ask("POST /open", `{"page":"/welcome"}`)
	require.Equal(t, http.StatusConflict, code)
	require.Contains(t, said, "Use a browser.")
	d.view = control.DesktopView{MenuBar: true, Window: true, Welcome: true, Login: control.LoginView{Supported: true}}
	for _, page := range []string{"/welcome", ""} {
		code, _ = ask("POST /open", `{"page":"`+page+`"}`)
		require.Equal(t, http.StatusOK, code)
		require.Equal(t, page, d.page)
	}
	code, said = ask("PUT /login", `{"enabled":true}`)
	require.Equal(t, http.StatusOK, code)
	require.JSONEq(t, `{"menu_bar":true,"window":true,"login":{"supported":true,"enabled":true},"welcome":true}`, said)
	code, said = ask("POST /welcomed", "")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, said, `"welcome":false`)

	for _, wrong := range []struct{ route, body string }{
		{"POST /open", ""}, {"POST /open", "{}"}, {"POST /open", `{"page":1}`}, {"POST /open", "["},
		{"PUT /login", ""}, {"PUT /login", "{}"}, {"PUT /login", `{"enabled":"yes"}`},
	} {
		code, said = ask(wrong.route, wrong.body)
		require.Equal(t, http.StatusBadRequest, code, wrong)
		require.Contains(t, said, "The body must be", wrong)
	}
	require.Equal(t, http.StatusNotFound, do(newFake(), newRequest("GET", "/samovar/v1/desktop", "")).Code, "headless servers of tests have none")
}
