package rule_test

import (
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/scheduler/rule"
)

func ExampleCron() {
	zone, _ := rule.Zone("Europe/London")
	r, _ := rule.Cron("30 1 * * *", zone) // 01:30 does not exist on 29 March 2026
	for _, t := range rule.NextN(r, time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC), 3) {
		fmt.Println(t.In(zone))
	}
	// Output:
	// 2026-03-28 01:30:00 +0000 GMT
	// 2026-03-29 02:00:00 +0100 BST
	// 2026-03-30 01:30:00 +0100 BST
}
