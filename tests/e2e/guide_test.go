package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/build/guide/eval"
)

// questionFloor is what the built-in model may not fall below: a little under
// what it has shown (build/guide/eval/results.md), since another processor rounds
// differently. The goal is eval.Goal; guide-eval tells how far it is.
const questionFloor = 86

// TestGuideKnowsAndRemembers holds the built-in model to the evaluation's
// written rule, through the real thing.
func TestGuideKnowsAndRemembers(t *testing.T) {
	in := guideInstance(t)
	report, err := eval.Run(t.Context(), in.base, eval.Options{})
	require.NoError(t, err)
	t.Logf("questions %s, recall %s", report.Questions, report.Recall)
	require.GreaterOrEqual(t, report.Questions.Passed, questionFloor, "questions: %s", report.Questions)
	require.True(t, report.Recall.Reached(), "recall: %s", report.Recall)
}
