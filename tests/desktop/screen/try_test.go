package screen

import ("testing";"os/exec";"os";"time";"fmt")

func TestTry(t *testing.T) {
	s := Start(t)
	r := s.Reader()
	cmd := exec.Command("/tmp/h-window/bin/samovar", "window", "--data-dir", t.TempDir())
	cmd.Env = append(os.Environ(), "LANG=en_US.UTF-8")
	for k, v := range s.Env() { cmd.Env = append(cmd.Env, k+"="+v) }
	cmd.Stderr = os.Stderr
	s.run(cmd)
	fmt.Println(s.AwaitWindow())
	time.Sleep(3*time.Second)
	b := time.Now()
	fmt.Println(r.Text())
	fmt.Println(time.Since(b))
	s.Picture("/tmp/h-window", "try")
}
