// Package hub asks the Hugging Face Hub, or a mirror of it, what models there are:
// what a user's reference means, which files a repository has, how large they are
// and what their SHA-256 is, and which of them is meant. It only reads, keeps nothing
// and fetches no models: that, and storing them, is done elsewhere.
//
// # The protocol
//
// Most of the endpoints used here aren't in the Hub's OpenAPI document; their sources are
// huggingface_hub (hf_api.py, file_download.py, utils/_http.py) and answers recorded by
// others:
//
//	GET /api/models?search=…&filter=gguf&full=true     a list, files without sizes
//	GET /api/models/{id}/revision/{rev}?blobs=true     one, files with sizes and digests
//	GET /api/models/{id}/auth-check                    may its files be fetched?
//	GET /{id}/resolve/{commit}/{path}                  302 to storage on another host
//
// A file in LFS or Xet storage has its SHA-256 in lfs.sha256, and in X-Linked-Etag on the
// 302. The ETag of the storage behind it is another hash and good for If-Range only. The
// storage's address is signed and expires within the hour: keep the Hub's, never that one.
//
// A gated repository's list of files is public, and only its files are refused: 401
// without a token, 403 for an account that hasn't accepted the licence, both with
// X-Error-Code: GatedRepo. A repository that doesn't exist is 401, too, unless a token
// came along: the Hub doesn't tell strangers what is private.
//
// The token goes to the endpoint's own scheme, host and port, and nowhere else. Whoever
// fetches files must see to that, too.
package hub
