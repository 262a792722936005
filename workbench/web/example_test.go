package web_test

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"tandem/workbench/chat"
	"tandem/workbench/web"
)

// A model is served and asked over HTTP. Here it is a script that repeats the question.
func Example() {
	model, err := chat.NewModel(&fakeEngine{}, bytesOnly)
	if err != nil {
		log.Fatal(err)
	}
	server, err := web.New(web.Options{Model: model, Info: web.Info{Name: "parrot", Context: 1024}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	listener := httptest.NewServer(server.Handler())
	defer listener.Close()

	for _, field := range []string{"temprature", "temperature"} {
		body := `{"model": "parrot", "messages": [{"role": "user", "content": "hello"}], "` + field + `": 0}`
		response, err := http.Post(listener.URL+"/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			log.Fatal(err)
		}
		var answer struct {
			Choices []struct{ Message struct{ Content string } }
			Error   struct{ Message string }
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			log.Fatal(err)
		}
		response.Body.Close()
		problem, _, _ := strings.Cut(answer.Error.Message, ";")
		fmt.Println(response.StatusCode, problem, answer.Choices)
	}
	// Output:
	// 400 unknown field "temprature" []
	// 200  [{{hello}}]
}
