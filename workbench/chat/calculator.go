package chat

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// Limits of an expression; with them the slowest one takes about a millisecond.
const (
	maxExpression = 500  // bytes
	maxBits       = 2048 // of a number's numerator and denominator
	maxExponent   = 1024
)

// Calculator is a Tool for arithmetic: numbers, + - * / % **, parentheses, and "text".count("part"). Numbers may have
// commas between thousands; they are read as an int64 or a float64, and a larger integer is refused. It computes exactly with
// them, so it prints integers as integers, whatever their size, and 0.1+0.2 as 0.3; other results are rounded to a float64.
// Precedence is expr's, which is Python's; % has the divisor's sign.
func Calculator(_ context.Context, expression string) (string, error) {
	result, err := calculate(expression)
	if err != nil {
		return "", fmt.Errorf("calculator: %q: %w", abbreviated(expression), err)
	}
	return result, nil
}

func abbreviated(text string) string {
	if len(text) <= 60 {
		return text
	}
	return strings.ToValidUTF8(text[:60], "") + "…"
}

func calculate(expression string) (string, error) {
	if len(expression) > maxExpression {
		return "", fmt.Errorf("it has %d bytes; at most %d are supported", len(expression), maxExpression)
	}
	for _, sign := range []string{"//", "/*", "#"} {
		if strings.Contains(expression, sign) {
			return "", fmt.Errorf("%q is not supported; there are + - * / %% ** and parentheses", sign)
		}
	}
	if !strings.ContainsAny(expression, `"'`) {
		expression = strings.ReplaceAll(expression, ",", "")
	}
	tree, err := parser.Parse(expression)
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return "", errors.New(line)
	}
	value, err := evaluate(tree.Node)
	if err != nil {
		return "", err
	}
	return format(value)
}

// evaluate computes a node, and refuses whatever is not arithmetic.
func evaluate(node ast.Node) (*big.Rat, error) {
	switch node := node.(type) {
	case *ast.IntegerNode:
		return new(big.Rat).SetInt64(int64(node.Value)), nil
	case *ast.FloatNode:
		return decimal(node.Value)
	case *ast.UnaryNode:
		value, err := evaluate(node.Node)
		switch {
		case err != nil:
			return nil, err
		case node.Operator == "-":
			return value.Neg(value), nil
		case node.Operator == "+":
			return value, nil
		}
		return nil, fmt.Errorf("%q is not supported; there are + - * / %% ** and parentheses", node.Operator)
	case *ast.BinaryNode:
		left, err := evaluate(node.Left)
		if err != nil {
			return nil, err
		}
		right, err := evaluate(node.Right)
		if err != nil {
			return nil, err
		}
		return bounded(operate(node.Operator, left, right))
	case *ast.CallNode:
		return count(node)
	}
	return nil, errors.New("it is not arithmetic; there are numbers, + - * / % ** and parentheses")
}

// decimal is the number that a float was written as.
func decimal(value float64) (*big.Rat, error) {
	exact, ok := new(big.Rat).SetString(strconv.FormatFloat(value, 'g', -1, 64))
	if !ok {
		return nil, fmt.Errorf("%g is no number to compute with", value)
	}
	return bounded(exact, nil)
}

func operate(operator string, left, right *big.Rat) (*big.Rat, error) {
	result := new(big.Rat)
	switch operator {
	case "+":
		return result.Add(left, right), nil
	case "-":
		return result.Sub(left, right), nil
	case "*":
		return result.Mul(left, right), nil
	case "**":
		return power(left, right)
	case "/", "%":
		if right.Sign() == 0 {
			return nil, errors.New("division by zero")
		}
		result.Quo(left, right)
		if operator == "/" {
			return result, nil
		}
		floor := new(big.Rat).SetInt(new(big.Int).Div(result.Num(), result.Denom())) // the denominator is positive
		return result.Sub(left, floor.Mul(floor, right)), nil
	}
	return nil, fmt.Errorf("%q is not supported; there are + - * / %% ** and parentheses", operator)
}

// power raises to an integer exactly, else in float64.
func power(base, exponent *big.Rat) (*big.Rat, error) {
	if !exponent.IsInt() {
		x, _ := base.Float64()
		y, _ := exponent.Float64()
		return decimal(math.Pow(x, y))
	}
	if !exponent.Num().IsInt64() || exponent.Num().CmpAbs(big.NewInt(maxExponent)) > 0 {
		return nil, fmt.Errorf("the exponent is too large; at most %d is supported", maxExponent)
	}
	n := exponent.Num().Int64()
	if n < 0 {
		if base.Sign() == 0 {
			return nil, errors.New("division by zero")
		}
		base, n = new(big.Rat).Inv(base), -n
	}
	if size := max(base.Num().BitLen(), base.Denom().BitLen()); int64(size-1)*n > maxBits {
		return nil, errTooLarge
	}
	exponentInt := big.NewInt(n)
	return new(big.Rat).SetFrac(new(big.Int).Exp(base.Num(), exponentInt, nil), new(big.Int).Exp(base.Denom(), exponentInt, nil)), nil
}

var errTooLarge = errors.New("a number is too large or too long")

// bounded refuses numbers that make the next operation slow.
func bounded(value *big.Rat, err error) (*big.Rat, error) {
	if err != nil {
		return nil, err
	}
	if value.Num().BitLen() > maxBits || value.Denom().BitLen() > maxBits {
		return nil, errTooLarge
	}
	return value, nil
}

// count is "text".count("part") as in Python.
func count(call *ast.CallNode) (*big.Rat, error) {
	if member, ok := call.Callee.(*ast.MemberNode); ok && len(call.Arguments) == 1 {
		text, isText := member.Node.(*ast.StringNode)
		name, isName := member.Property.(*ast.StringNode)
		part, isPart := call.Arguments[0].(*ast.StringNode)
		if isText && isName && isPart && name.Value == "count" {
			return new(big.Rat).SetInt64(int64(strings.Count(text.Value, part.Value))), nil
		}
	}
	return nil, errors.New(`the only call is "text".count("part")`)
}

// format prints integers in full, and others as the nearest float64 in as few digits as tell it apart.
func format(value *big.Rat) (string, error) {
	if value.IsInt() {
		return value.Num().String(), nil
	}
	nearest, _ := value.Float64()
	switch size := math.Abs(nearest); {
	case math.IsInf(size, 0):
		return "", errTooLarge
	case size == 0:
		return "0", nil
	case size >= 1e16 || size < 1e-4:
		return strconv.FormatFloat(nearest, 'e', -1, 64), nil
	}
	return strconv.FormatFloat(nearest, 'f', -1, 64), nil
}
