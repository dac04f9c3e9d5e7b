package server_test

import (
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"samovar/server"
)

func TestPage(t *testing.T) {
	page := fstest.MapFS{"index.html": {Data: []byte("<!doctype html><p>tea")}, "assets/app-1.js": {Data: []byte("tea()")}, "icon.svg": {Data: []byte("<svg/>")}, "more/secret": {Data: []byte("no")}}
	ask := func(path, accept string) *httptest.ResponseRecorder {
		r := newRequest("GET", path, "")
		r.Header.Set("Accept", accept)
		return doWith(server.Options{Engine: newFake(), Page: page, Version: "1"}, r)
	}
	w := ask("/", "text/html,*/*")
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), "<p>tea")
	require.Contains(t, w.Header().Get("Content-Type"), "text/html")
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "script-src 'self';")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"), "it holds the token")
	require.JSONEq(t, `{"name":"samovar","version":"1"}`, ask("/", "*/*").Body.String(), "programs get what they got before")
	w = ask("/assets/app-1.js", "*/*")
	require.Equal(t, "tea()", w.Body.String())
	require.Contains(t, w.Header().Get("Content-Type"), "javascript")
	require.Contains(t, w.Header().Get("Cache-Control"), "immutable")
	for _, path := range []string{"/assets/none.js", "/more/secret", "/assets/../more/secret", "/assets/%2e%2e/more/secret", "/assets/"} {
		require.Equal(t, 404, ask(path, "*/*").Code, path)
	}
	require.Equal(t, "<svg/>", ask("/icon.svg", "image/*").Body.String())
	page = fstest.MapFS{} // it was not built
	require.JSONEq(t, `{"name":"samovar","version":"1"}`, ask("/", "text/html").Body.String())
}

func TestPageGetsItsToken(t *testing.T) {
	page := fstest.MapFS{"index.html": {Data: []byte(`<meta name="samovar-base" content="" /><meta name="samovar-token" content="" />`)}}
	ask := func(token, origin string) string {
		r := newRequest("GET", "/", "")
		r.Header.Set("Accept", "text/html")
		set(r, "Origin", origin)
		w := doWith(server.Options{Engine: newFake(), Page: page, PageToken: token}, r)
		require.Equal(t, 200, w.Code)
		return w.Body.String()
	}
	require.Equal(t, `<meta name="samovar-base" content="" /><meta name="samovar-token" content="SECRET" />`, ask("SECRET", ""))
	require.NotContains(t, ask("SECRET", "wails://wails"), "SECRET", "another window built like ours could read it")
	require.Contains(t, ask("", ""), `name="samovar-token" content="" />`)
	require.Contains(t, ask(`"$1`, ""), `content="&#34;$1"`)
}
