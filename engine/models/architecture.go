package models

import "strings"

// Class is how a model keeps its state, which decides how it can be saved.
type Class string

const (
	// Attention: every layer keeps all tokens' keys and values.
	Attention Class = "attention"
	// SlidingWindow: some layers forget all but the last tokens.
	SlidingWindow Class = "sliding-window"
	// Recurrent: a state of fixed size and no tokens.
	Recurrent Class = "recurrent"
	// Hybrid: some layers of each.
	Hybrid Class = "hybrid"
)

func set(names string) map[string]bool {
	m := make(map[string]bool)
	for _, n := range strings.Fields(names) {
		m[n] = true
	}
	return m
}

// The architectures that llama.cpp v0.4.0 knows, from its library. Those that
// generate no text stand apart.
var (
	recurrentArchitectures = set("mamba mamba2 rwkv6 rwkv6qwen2 rwkv7 arwkv7")
	hybridArchitectures    = set(`jamba falcon-h1 plamo2 granitehybrid lfm2 lfm2moe nemotron_h nemotron_h_moe
		qwen3next kimi-linear kimi-k3 qwen35 qwen35moe deepseek4 bailingmoe3 minimax-01`)
	attentionArchitectures = set(`llama llama4 deci falcon grok gpt2 gptj gptneox mpt baichuan starcoder refact
		bloom stablelm qwen qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3vl qwen3vlmoe qwen4exp phi2 phi3 phimoe
		plamo plamo3 codeshell orion internlm2 minicpm minicpm3 gemma gemma2 gemma3 gemma3n gemma4 starcoder2
		xverse command-r cohere2 cohere2moe dbrx olmo olmo2 olmoe muse-glimmer openelm arctic deepseek deepseek2
		deepseek2-ocr deepseek32 chatglm glm4 glm4moe glm-dsa bitnet jais jais2 nemotron exaone exaone4 exaone-moe
		granite granitemoe graniteswitch granite_swa chameleon plm bailingmoe bailingmoe2 dots1 dots3note arcee
		afmoe laguna ernie4_5 ernie4_5-moe hunyuan-moe hunyuan-dense hunyuan_vl hy_v3 smollm3 gpt-oss smallthinker
		seed_oss grovemoe apertus minimax-m2 minimax-m3 cogvlm pangu-embedded mistral3 mistral4 paddleocr mimo2
		step35 maincoder talkie mellum nanbeige`)
	// otherArchitectures load, but do not write text one token after another.
	otherArchitectures = map[string]string{
		"clip": "a vision or audio projector", "bert": "an embedding model", "modern-bert": "an embedding model",
		"nomic-bert": "an embedding model", "nomic-bert-moe": "an embedding model", "neo-bert": "an embedding model",
		"jina-bert-v2": "an embedding model", "jina-bert-v3": "an embedding model", "eurobert": "an embedding model",
		"gemma-embedding": "an embedding model", "llama-embed": "an embedding model", "t5encoder": "an encoder",
		"t5": "an encoder-decoder model", "wavtokenizer-dec": "an audio decoder", "qwen3tts": "a speech model",
		"pockettts": "a speech model", "eagle3": "a draft model", "dflash": "a draft model",
		"gemma4-assistant": "a draft model", "dream": "a diffusion model", "llada": "a diffusion model",
		"llada-moe": "a diffusion model", "rnd1": "a diffusion model",
	}
	// windowed architectures use a sliding window also where the header names
	// none, or ignores nothing of it.
	windowed = set("gemma2 gemma3 gemma3n gemma4 cohere2 cohere2moe gpt-oss llama4 exaone4 exaone-moe olmo2 step35 " +
		"mimo2 afmoe laguna smallthinker granite_swa plamo3 dots3note")
)

func (h *header) checkArchitecture() {
	arch := h.requireString("general.architecture", "It does not say which architecture the model has.")
	if h.err != nil {
		return
	}
	if kind, _ := get[string](h, "general.type"); kind == "adapter" {
		h.bad("It is an adapter (LoRA), which works only together with its model.", hintOther)
		return
	}
	if what, ok := otherArchitectures[arch]; ok {
		h.bad("It is "+what+" ("+arch+"), which cannot chat.", "Choose a model that generates text.")
		return
	}
	if !attentionArchitectures[arch] && !recurrentArchitectures[arch] && !hybridArchitectures[arch] {
		h.bad("Its architecture "+quote(arch)+" is not known to this version of the engine.", hintNewer)
		return
	}
	h.arch = arch
}

func (h *header) class(window int) Class {
	switch {
	case recurrentArchitectures[h.arch]:
		return Recurrent
	case hybridArchitectures[h.arch]:
		return Hybrid
	case window > 0 || windowed[h.arch]:
		return SlidingWindow
	}
	return Attention
}
