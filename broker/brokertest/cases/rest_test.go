package cases

var correctnessCases, securityCases, limitCases, sessionCases []testCase
