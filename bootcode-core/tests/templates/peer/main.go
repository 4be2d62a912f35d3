// What Go's text/template with Sprig makes of the cases on standard input: one JSON array in, one out.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig"
)

type testCase struct {
	Template string      `json:"template"`
	Data     interface{} `json:"data"`
}

type outcome struct {
	Text   string `json:"text"`
	Failed string `json:"failed"`
}

// As Kubernetes' unstructured objects hold numbers: whole ones as int64.
func numbers(value interface{}) interface{} {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return whole
		}
		float, _ := value.Float64()
		return float
	case []interface{}:
		for n := range value {
			value[n] = numbers(value[n])
		}
	case map[string]interface{}:
		for key := range value {
			value[key] = numbers(value[key])
		}
	}
	return value
}

func run(test testCase, now time.Time) (result outcome) {
	defer func() {
		if reason := recover(); reason != nil {
			result = outcome{Failed: fmt.Sprint(reason)}
		}
	}()
	functions := sprig.TxtFuncMap()
	functions["now"] = func() time.Time { return now }
	functions["ago"] = func(date time.Time) string { return now.Sub(date).Round(time.Second).String() }
	parsed, err := template.New("t").Option("missingkey=error").Funcs(functions).Parse(test.Template)
	if err != nil {
		return outcome{Failed: err.Error()}
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, numbers(test.Data)); err != nil {
		return outcome{Failed: err.Error()}
	}
	return outcome{Text: out.String()}
}

func main() {
	now, err := time.Parse(time.RFC3339, os.Args[1])
	if err != nil {
		panic(err)
	}
	time.Local = time.UTC
	var cases []testCase
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	if err := decoder.Decode(&cases); err != nil {
		panic(err)
	}
	outcomes := make([]outcome, 0, len(cases))
	for _, test := range cases {
		result := run(test, now)
		result.Text = strings.ToValidUTF8(result.Text, "?")
		outcomes = append(outcomes, result)
	}
	if err := json.NewEncoder(os.Stdout).Encode(outcomes); err != nil {
		panic(err)
	}
}
