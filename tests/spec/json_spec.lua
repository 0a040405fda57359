require "moth"
local json = require "moth.json"

describe("json.encode", function()
    it("sorts keys and keeps integers apart from floats", function()
        assert.are.equal('{"a":1,"b":1.0,"c":[1,2.5,true],"d":{}}',
            json.encode { d = {}, c = { 1, 2.5, true }, b = 1.0, a = 1 })
        assert.are.equal("[]", json.encode(json.list()))
        assert.are.equal("null", json.encode(json.null))
    end)

    it("writes the shortest text that reads back the same", function()
        for _, case in ipairs { { 0.1, "0.1" }, { 1 / 3, "0.3333333333333333" }, { 1e300, "1e+300" }, { -0.0, "-0.0" },
            { 2.0 ^ 53, "9007199254740992.0" }, { math.mininteger, "-9223372036854775808" }, { 5e-324, nil } } do
            local text = json.encode(case[1])
            assert.are.equal(case[2] or text, text)
            local back = json.decode(text)
            assert.are.equal(math.type(case[1]), math.type(back))
            assert.are.equal(("<n"):pack(case[1]), ("<n"):pack(back))
        end
    end)

    it("writes what JSON lacks as strings that json.number reads", function()
        assert.are.equal('["inf","-inf","nan"]', json.encode { math.huge, -math.huge, 0 / 0 })
        assert.are.equal(-math.huge, json.number("-inf"))
        assert.is_true(json.number("nan") ~= json.number("nan"))
        assert.are.equal(3, json.number(3))
        assert.is_nil(json.number("3"))
    end)

    it("escapes strings", function()
        assert.are.equal([["a\"\\\n\u0001é\u007f"]], json.encode('a"\\\n\1é\127'))
    end)

    it("refuses what JSON cannot hold", function()
        assert.has_error(function() json.encode(print) end, "json: a function cannot be written")
        assert.has_error(function() json.encode { 1, nil, 3 } end)
        assert.has_error(function() json.encode { [1] = 1, a = 2 } end)
        assert.has_error(function() json.encode("\255") end, "json: a string must be valid UTF-8")
        local loop = {}
        loop.loop = loop
        assert.has_error(function() json.encode(loop) end, "json: tables must not be nested deeper than 100")
    end)
end)

describe("json.decode", function()
    it("reads what others write", function()
        assert.are.same({ a = { 1, 2, { b = "x" } }, c = 1e5, d = false },
            json.decode ' {"a" : [1, 2, {"b": "x"}],\n"c": 1e5, "d":false}\t')
        assert.are.equal("é😀/", json.decode [["\u00e9\ud83d\ude00\/"]])
        assert.are.equal(json.null, json.decode("[null]")[1])
        assert.are.equal("[]", json.encode(json.decode("[]")))
    end)

    it("refuses everything else with the place", function()
        for text, message in pairs {
            [""] = "json: a value was expected at byte 1",
            ["[1,]"] = "json: a value was expected at byte 4",
            ["[1 2]"] = "json: ',' or ']' was expected at byte 4",
            ["{1:2}"] = "json: a key in quotes was expected at byte 2",
            ['{"a" 1}'] = "json: ':' was expected at byte 6",
            ['{"a":1,"a":2}'] = "json: the same key twice at byte 8",
            ["01"] = "json: a value was expected at byte 1",
            ["1."] = "json: a value was expected at byte 1",
            ["-"] = "json: a value was expected at byte 1",
            ["1e+"] = "json: a value was expected at byte 1",
            ["1 2"] = "json: end of text was expected at byte 3",
            ["nan"] = "json: a value was expected at byte 1",
            ['"abc'] = "json: string without an end at byte 1",
            ['"a\nb"'] = "json: control character in a string at byte 3",
            ['"\\q"'] = "json: unknown escape at byte 2",
            ['"\\u12"'] = "json: wrong \\u escape at byte 3",
            ['"\\ud800"'] = "json: wrong \\u escape at byte 3",
            ["\255"] = "json: the text must be valid UTF-8",
            [("["):rep(1000)] = "json: nested deeper than 100 at byte 101",
        } do
            assert.has_error(function() json.decode(text) end, message)
        end
    end)
end)
