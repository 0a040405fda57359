-- Constraints over several dims of a weight, as filters need them. Expected: what Keras 3.15 gives for the same kernel.

local moth = require "moth"
local support = require "tests.spec.support"

local kernel = moth.tensor({ 1, -2, 3, -4, 5, -6, 7, -8 }):reshape(2, 2, 1, 2)

local function filters(constraint)
    local model = moth.Sequential { moth.layers.Conv2D {
        2, 2, input_shape = { 2, 2, 1 }, use_bias = false, kernel_constraint = constraint,
    } }
    model:set_weights { kernel }
    model:compile { optimizer = moth.optimizers.SGD { 0 }, loss = "mse" }
    return model
end

local function constrained(constraint)
    local model = filters(constraint)
    model:fit(moth.zeros(1, 2, 2, 1), moth.zeros(1, 1, 1, 2), { verbose = 0 })
    return model
end

local cases = {
    { "max_norm", { 2, { 1, 2, 3 } },
        { 0.21821788, -0.36514837, 0.65465367, -0.7302967, 1.09108937, -1.0954451, 1.52752519, -1.46059346 } },
    { "unit_norm", { { 1, 2 } },
        { 0.10910894, -0.18257418, 0.32732683, -0.36514837, 0.54554468, -0.54772252, 0.76376259, -0.73029673 } },
    { "max_norm", { 2, { -1, 1 } },
        { 0.24618298, -0.49236596, 0.51075393, -0.68100524, 1.23091483, -1.47709787, 1.19175911, -1.36201047 } },
}
for k, case in ipairs(cases) do
    it(("%s over several dims (%d)"):format(case[1], k), function()
        local model = constrained(moth.constraints[case[1]](case[2]))
        for i, value in ipairs(support.flat(model:get_weights()[1]:totable())) do
            support.close(case[3][i], value, 1e-6, "weight " .. i)
        end
        local again = moth.model_from_json(model:to_json())
        assert.same(model.layers[1].config.kernel_constraint.axis, again.layers[1].config.kernel_constraint.axis)
    end)
end

it("a constraint's axis is a dim of the weight, from 1", function()
    for _, axis in ipairs { 0, { 1, 0 }, {} } do
        support.refuses("option 'axis' must name dimensions of the weight, counted from 1", constrained,
            moth.constraints.max_norm { 2, axis = axis })
    end
    support.refuses("dim 1 is named twice", constrained, moth.constraints.unit_norm { { 1, 1 } })
    support.refuses("dim 5 is outside 1..4", constrained, moth.constraints.unit_norm { 5 })
    support.refuses("axis", moth.constraints.unit_norm, { { 1.5 } })
end)

it("a constraint shows the dims it was given", function()
    assert.equal("constraints.max_norm { axis = { 1, 2 }, max_value = 2 }",
        tostring(moth.constraints.max_norm { 2, { 1, 2 } }))
end)
