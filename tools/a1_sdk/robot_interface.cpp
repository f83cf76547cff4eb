// The Python module `robot_interface` over unitree_legged_sdk v3.3.1, the last version for the A1.
//
// The vendor's tree has a Python binding from v3.5 on, which does not speak to an A1. This one has
// the same names, as far as `backends/legged_sdk.py` needs them. `make a1-sdk` compiles it against
// the public headers and the library of a checkout of the vendor's SDK.

#include <array>
#include <cstring>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "unitree_legged_sdk/comm.h"
#include "unitree_legged_sdk/quadruped.h"
#include "unitree_legged_sdk/safety.h"
#include "unitree_legged_sdk/udp.h"

namespace py = pybind11;
using namespace UNITREE_LEGGED_SDK;

// The library also holds a bridge to LCM. Nothing here calls it, so no LCM need be installed: these
// answer in its place, should it be called after all, that there is none.
#define NO_LCM(type, name, value) \
    extern "C" __attribute__((visibility("default"))) type name() { return value; }
NO_LCM(void *, lcm_create, nullptr)
NO_LCM(void, lcm_destroy, )
NO_LCM(int, lcm_get_fileno, -1)
NO_LCM(int, lcm_handle, -1)
NO_LCM(int, lcm_publish, -1)
NO_LCM(void *, lcm_subscribe, nullptr)
NO_LCM(int, lcm_unsubscribe, -1)

namespace {

// The structures are packed, so their fields have no alignment: they are read and written by value.
#define VALUE(type, name)                                 \
    def_property(                                         \
        #name, [](const type &self) { return self.name; }, \
        [](type &self, decltype(type::name) value) { self.name = value; })

#define ARRAY(type, name)                                                 \
    def_property_readonly(#name, [](const type &self) {                   \
        using Element = std::remove_extent_t<decltype(type::name)>;       \
        std::array<Element, std::extent_v<decltype(type::name)>> values;  \
        std::memcpy(values.data(), &self.name, sizeof(values));           \
        return values;                                                    \
    })

// List of the motors of a state or command. Its elements are views: writing to them changes it.
template <class Owner, class Motor>
py::list motors(py::object self, Motor (Owner::*field)[20]) {
    py::list list;
    Owner &owner = self.cast<Owner &>();
    for (Motor &motor : owner.*field)
        list.append(py::cast(&motor, py::return_value_policy::reference_internal, self));
    return list;
}

}  // namespace

PYBIND11_MODULE(robot_interface, m) {
    m.doc() = "unitree_legged_sdk v3.3.1: the low level of an A1 over UDP";

    py::enum_<LeggedType>(m, "LeggedType")
        .value("Aliengo", LeggedType::Aliengo)
        .value("A1", LeggedType::A1);

    py::class_<IMU>(m, "IMU")
        .ARRAY(IMU, quaternion)
        .ARRAY(IMU, gyroscope)
        .ARRAY(IMU, accelerometer)
        .ARRAY(IMU, rpy)
        .VALUE(IMU, temperature);

    py::class_<MotorState>(m, "MotorState")
        .VALUE(MotorState, mode)
        .VALUE(MotorState, q)
        .VALUE(MotorState, dq)
        .VALUE(MotorState, ddq)
        .VALUE(MotorState, tauEst)
        .VALUE(MotorState, temperature);

    py::class_<MotorCmd>(m, "MotorCmd")
        .VALUE(MotorCmd, mode)
        .VALUE(MotorCmd, q)
        .VALUE(MotorCmd, dq)
        .VALUE(MotorCmd, tau)
        .VALUE(MotorCmd, Kp)
        .VALUE(MotorCmd, Kd);

    py::class_<LowState>(m, "LowState")
        .def(py::init([] { return LowState{}; }))
        .VALUE(LowState, levelFlag)
        .VALUE(LowState, tick)
        .VALUE(LowState, crc)
        .VALUE(LowState, imu)
        .ARRAY(LowState, footForce)
        .ARRAY(LowState, wirelessRemote)
        .def_property_readonly(
            "motorState", [](py::object self) { return motors(self, &LowState::motorState); });

    py::class_<LowCmd>(m, "LowCmd")
        .def(py::init([] { return LowCmd{}; }))
        .VALUE(LowCmd, levelFlag)
        .VALUE(LowCmd, crc)
        .def_property_readonly(
            "motorCmd", [](py::object self) { return motors(self, &LowCmd::motorCmd); });

    py::class_<UDPState>(m, "UDPState")
        .VALUE(UDPState, TotalCount)
        .VALUE(UDPState, SendCount)
        .VALUE(UDPState, RecvCount)
        .VALUE(UDPState, SendError)
        .VALUE(UDPState, FlagError)
        .VALUE(UDPState, RecvCRCError)
        .VALUE(UDPState, RecvLoseError);

    py::class_<Safety>(m, "Safety")
        .def(py::init<LeggedType>())
        .def("PositionLimit", &Safety::PositionLimit)
        .def("PowerProtect", &Safety::PowerProtect);

    py::class_<UDP>(m, "UDP")
        .def(py::init<uint16_t, const char *, uint16_t, int, int>(), py::arg("local_port"),
             py::arg("robot_address"), py::arg("robot_port"), py::arg("send_length"),
             py::arg("receive_length"))
        .def("InitCmdData", py::overload_cast<LowCmd &>(&UDP::InitCmdData))
        .def("SetSend", py::overload_cast<LowCmd &>(&UDP::SetSend))
        .def("GetRecv", py::overload_cast<LowState &>(&UDP::GetRecv))
        .def("Send", &UDP::Send)
        .def("Recv", &UDP::Recv)
        .def_readonly("udpState", &UDP::udpState);
}
