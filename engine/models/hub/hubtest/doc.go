// Package hubtest is a Hugging Face Hub for tests: it speaks the real one's protocol on
// this machine, with its two hosts, and misbehaves on demand. It's for tests of whatever
// asks the Hub or downloads from it, of whatever package, and is no part of the product.
//
//	h := hubtest.New(t)
//	h.AddRepo("owner/repo", hubtest.Files{"model-Q4_K_M.gguf": hubtest.Bytes(data)})
//	h.Misbehave(hubtest.CDN, "model-Q4_K_M.gguf", 2, hubtest.CutAt(1000))
//	c := hub.New(hub.Options{Endpoint: h.URL()})
//
// What it answers is modelled on recorded answers of the real Hub (package hub's doc says
// which), not on package hub, so that one checks the other:
//
//   - /api/models, /api/models/{id} /api/models/{id}/revision/{rev}, and
//     /api/models/{id}/auth-check
//   - /{id}/resolve/{rev}/{path}: a file in LFS is a 302 to the CDN, a small one a 307 to
//     /api/resolve-cache on the same host
//   - the Hub is at 127.0.0.1 and the CDN at localhost, so that a client takes them for
//     two hosts. The CDN's addresses are signed and expire, and its ETag isn't the SHA-256.
//   - a gated repository's lists are public; its files are 401 to strangers and 403 to
//     accounts that haven't been let in
//   - a repository that doesn't exist is 401 to strangers, and 404 to accounts
//
// Xet's own protocol isn't there: clients that don't ask for it get plain HTTP.
package hubtest
