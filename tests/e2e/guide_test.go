package e2e

import (
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/build/guide/eval"
)

// TestGuideKnowsAndRemembers holds the built-in model to the evaluation's
// written rule, through the real thing.
func TestGuideKnowsAndRemembers(t *testing.T) {
	in := guideInstance(t)
	report, err := eval.Run(t.Context(), in.base, eval.Options{})
	require.NoError(t, err)
	t.Logf("questions %s, recall %s", report.Questions, report.Recall)
	require.True(t, report.Questions.Reached(), "questions: %s", report.Questions)
	require.True(t, report.Recall.Reached(), "recall: %s", report.Recall)
}
