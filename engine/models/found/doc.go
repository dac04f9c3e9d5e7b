// Package found finds the models that other programs on this machine have downloaded,
// to be used where they lie: Hugging Face's hub cache, Ollama, LM Studio and llama.cpp.
// It lists GGUF files with their origin. It never copies, changes or deletes anything
// there, and loads no model: whether the engine can take a file is package models' to say.
//
// # Layouts
//
// As the tools' own sources have them (2026):
//
//	Hugging Face  models--owner--repo/{blobs/<hash>, refs/main, snapshots/<commit>/file}
//	              where a file links to its blob, or is one where links do not work. The
//	              hash of a large file is its SHA-256. (huggingface_hub file_download.py)
//	Ollama        manifests/<host>/<namespace>/<model>/<tag>, JSON that names layers by
//	              digest, and blobs/sha256-<hex>. (ollama manifest/paths.go)
//	LM Studio     publisher/repo/file.gguf
//	llama.cpp     owner_repo_file.gguf, beside it file.gguf.json or .etag and
//	              manifest=owner=repo=tag.json. Since 2026 it shares Hugging Face's cache,
//	              or has one of that layout in LLAMA_CACHE. (common/download.cpp,
//	              common/hf-cache.cpp)
//
// # Bounds
//
// What is read is others' and may be broken, so all of it is bounded: the entries of a
// place, the depth of folders, the bytes of a JSON file. Links that lead out of a
// place's folder are refused. Of a model file, only the four letters GGUF are read.
package found
